/** One user. */

import { read } from "../api/client";
import type { User } from "../api/types";
import { listen } from "./live";
import { Resource } from "./resource";

export class UserStory {
  readonly user = new Resource((signal) => read<User>(`/users/${this.id}`, {}, signal));

  constructor(readonly id: string) {}

  keep(): () => void {
    const stop = listen({ begun: () => void this.user.refresh() });
    return () => {
      stop();
      this.user.stop();
    };
  }
}
