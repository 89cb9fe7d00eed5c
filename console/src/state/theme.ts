/** Light or dark: as the system has it, unless the operator chose. */

import { signal } from "@preact/signals";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const NAME = "finlink-theme";
const isTheme = (word: string | null): word is Theme => THEMES.some((each) => each === word);
const kept = localStorage.getItem(NAME);

export const theme = signal<Theme>(isTheme(kept) ? kept : "system");

export function chooseTheme(word: string): void {
  if (!isTheme(word)) return;
  theme.value = word;
  localStorage.setItem(NAME, word);
  applyTheme();
}

export function applyTheme(): void {
  document.documentElement.dataset.theme = theme.value;
}
