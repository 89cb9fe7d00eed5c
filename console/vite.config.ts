import { defineConfig } from "vitest/config";

export default defineConfig({
  base: "/console/",
  // Nothing inline: Finlink serves the console under a policy that forbids inline script and style.
  build: { assetsInlineLimit: 0, modulePreload: { polyfill: false }, target: "es2022" },
  // `npm run dev` beside a running Finlink.
  server: { proxy: { "/api": "http://localhost:3000" } },
  test: { include: ["test/**/*.test.ts"] },
});
