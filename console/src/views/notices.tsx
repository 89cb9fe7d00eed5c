import { limitedUntil } from "../api/client";
import { local } from "../model/time";

/** What holds for all views: that calls are limited, and until when. */
export function Notices() {
  const until = limitedUntil.value;
  return (
    <div role="status" class="notices">
      {until !== null && (
        <p class="notice">
          Finlink limits calls from this address (100 a minute in all). Reading continues at {local(until)}.
          Changes from the stream still appear.
        </p>
      )}
    </div>
  );
}
