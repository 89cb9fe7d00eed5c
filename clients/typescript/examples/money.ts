/**
 * A user's money: an account, an expense, and the newest transactions with their categories.
 *
 *     node money.js USER
 *
 * Finlink is at FINLINK_ADDRESS, else localhost:50051. A service calls on behalf of the user, whom it names with each call.
 */
import { connect } from "@finlink/client";

const user = { headers: { "x-on-behalf-of": process.argv[2] ?? "asha" } };
using finlink = connect();

const found = await finlink.categories.listCategories({ type: "expense" }, user);
const categories = found.data?.categories ?? [];
const names = new Map(categories.map(({ id, name }) => [id, name]));
const { data: account } = await finlink.accounts.createAccount({ name: "Wallet", type: "cash" }, user);
await finlink.transactions.createTransaction(
  {
    accountId: account?.accountId ?? "",
    kind: "expense",
    amount: { value: "450.00", currency: account?.currency ?? "" },
    categoryId: categories[0]?.id ?? "",
    payee: "Swiggy",
  },
  user,
);
const { data: newest } = await finlink.transactions.listTransactions({ limit: 10 }, user);
for (const { date, kind, amount, payee, categoryId } of newest?.transactions ?? []) {
  const category = names.get(categoryId ?? "") ?? "no category";
  console.log(`${date}: ${kind} of ${amount?.value} ${amount?.currency}, ${payee}, ${category}`);
}
