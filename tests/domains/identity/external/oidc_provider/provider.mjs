// A certified OpenID provider on this machine: node provider.mjs NODE_MODULES PORT SECRET REDIRECT
// It has whoever signs in, as NAME@example.com. Claims beside `sub` are given at its userinfo endpoint alone.
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, port, secret, redirect] = process.argv.slice(2);
const library = pathToFileURL(join(modules, "oidc-provider", "lib", "index.js"));
const { default: Provider } = await import(library.href);

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "finlink",
      client_secret: secret,
      redirect_uris: [redirect],
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["given_name", "family_name"] },
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  findAccount: (_, id) => ({
    accountId: id,
    claims: async () => ({
      sub: id,
      email: `${id}@example.com`,
      email_verified: true,
      given_name: "Asha",
      family_name: "Rao",
    }),
  }),
});
provider.listen(Number(port), "127.0.0.1");
