/** The operator's API key. It lives as long as the tab, and goes nowhere but into `x-api-key`. */

import { signal } from "@preact/signals";

const NAME = "finlink-api-key";

export const apiKey = signal<string | null>(sessionStorage.getItem(NAME));

/** Why a person or a key is asked for; empty if the operator wants to; null while none is. */
export const signInAsked = signal<string | null>(null);

export function keepKey(key: string): void {
  sessionStorage.setItem(NAME, key);
  apiKey.value = key;
  signInAsked.value = null;
}

export function forgetKey(): void {
  sessionStorage.removeItem(NAME);
  apiKey.value = null;
}
