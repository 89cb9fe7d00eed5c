/** Who is signed in, asked again when the page is opened: the session may have ended, or the role changed. */

import { read } from "../api/client";
import { ApiError } from "../api/errors";
import { apiKey } from "../api/key";
import { keepPerson, person } from "../api/person";
import type { User } from "../api/types";

export async function learnPerson(): Promise<void> {
  if (person.value === null || apiKey.value !== null) return;
  try {
    keepPerson(await read<User>("/auth/me"));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // a session that has ended is asked for again
  }
}
