/** Calls that work as they are when they are pasted into a shell. */

import { apiKey } from "../api/key";
import { about } from "../state/about";

const JSON_HEADER = "-H 'content-type: application/json'";
const key = () => (apiKey.value === null ? "" : ` -H "x-api-key: $FINLINK_API_KEY"`);

export const userExample = (): string =>
  `curl ${location.origin}/api/v1/users ${JSON_HEADER}${key()} -d '{
  "userId": "user_12345", "email": "user@example.com", "firstName": "John", "lastName": "Doe"}'`;

export function connectExample(userId: string): string {
  const own = about.value?.environment === "production";
  const password = own ? "THEIR_PASSWORD" : "platformPassword";
  const username = own ? "THEIR_USERNAME" : "user123";
  return `curl ${location.origin}/api/v1/connectors ${JSON_HEADER}${key()} -d '{
  "userId": "${userId}", "platform": "fi_money", "permissions": ["transactions", "portfolio", "profile", "trades"],
  "credentials": {"username": "${username}", "password": "${password}"}}'`;
}

export function Example({ children }: { children: string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <pre tabIndex={0}>{children}</pre>
  );
}
