import { useRef, useState } from "preact/hooks";
import { ApiError } from "../api/errors";
import { Problem } from "./parts";

/** A button that asks before it does what cannot be undone. */
export function Confirmed(props: {
  label: string;
  question: string;
  /** What will be so afterwards. */
  then: string;
  yes: string;
  /** What is wanted, as in "Finlink does not give …". */
  what: string;
  act: () => Promise<unknown>;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState<ApiError | null>(null);
  async function act() {
    if (busy) return;
    setBusy(true);
    setRefused(null);
    try {
      await props.act();
      dialog.current?.close();
    } catch (error) {
      if (error instanceof ApiError) setRefused(error);
    } finally {
      setBusy(false);
    }
  }
  return (
    <>
      <button
        type="button"
        onClick={() => {
          setRefused(null);
          dialog.current?.showModal();
        }}
      >
        {props.label}
      </button>
      <dialog ref={dialog} aria-label={props.question}>
        <p>
          <strong>{props.question}</strong>
        </p>
        <p>{props.then}</p>
        {refused && <Problem error={refused} what={props.what} />}
        <div class="choice">
          <button type="button" class="danger" onClick={() => void act()} aria-disabled={busy}>
            {props.yes}
          </button>
          <button type="button" onClick={() => dialog.current?.close()}>
            Leave it
          </button>
        </div>
      </dialog>
    </>
  );
}
