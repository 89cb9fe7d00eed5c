/** Which Finlink this is: its environment and version, as the edge that serves this page has them. */

import { signal } from "@preact/signals";

export interface About {
  environment: string;
  version: string;
}

export const about = signal<About | null>(null);

export async function learnAbout(): Promise<void> {
  const reply = await fetch(`${import.meta.env.BASE_URL}about.json`).catch(() => null);
  if (reply?.ok) about.value = (await reply.json().catch(() => null)) as About | null;
}
