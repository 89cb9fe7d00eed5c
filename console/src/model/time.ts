/** Times as operators read them: local, with UTC at hand because logs have it. */

const CLOCK: Intl.DateTimeFormatOptions = {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
};
const DAY: Intl.DateTimeFormatOptions = { day: "numeric", month: "short" };

/** `15 Jan 14:03:27 IST`, with the year where it is another one than this. */
export function local(at: Date, now: Date = new Date()): string {
  const year = at.getFullYear() === now.getFullYear() ? {} : { year: "numeric" as const };
  const day = at.toLocaleDateString("en-GB", { ...DAY, ...year });
  return `${day} ${at.toLocaleTimeString("en-GB", CLOCK)} ${zone(at)}`;
}

/** `IST`, `BST`, `GMT-3`: the zone of a local time. */
export function zone(at: Date = new Date()): string {
  // India's has its usual name in no other English.
  const english = at.getTimezoneOffset() === -330 ? "en-IN" : "en-GB";
  const parts = new Intl.DateTimeFormat(english, { timeZoneName: "short" }).formatToParts(at);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? "local time";
}

/** `14:03` */
export function hourAndMinute(at: Date): string {
  return at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

/** `2026-01-15 08:33:27 UTC` */
export function utc(at: Date): string {
  return `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** `just now`, `40 s ago`, `in 5 min`, `3 h ago`, `2 days ago` */
export function relative(at: Date, now: Date): string {
  const seconds = Math.round((now.getTime() - at.getTime()) / 1000);
  if (Math.abs(seconds) < 5) return "just now";
  const span = duration(Math.abs(seconds));
  return seconds > 0 ? `${span} ago` : `in ${span}`;
}

/** `1.4 s`, `40 s`, `5 min`, `3 h`, `2 days` */
export function duration(seconds: number): string {
  if (seconds < 10 && !Number.isInteger(seconds)) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.round(seconds / 3600);
  return hours < 36 ? `${hours} h` : `${Math.round(seconds / 86_400)} days`;
}
