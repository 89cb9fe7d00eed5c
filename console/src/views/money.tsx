/** A user's money: accounts, newest transactions, budgets, read on the user's behalf. */

import { useEffect, useMemo } from "preact/hooks";
import type { Account, BudgetItemAnalysis, Transaction } from "../api/types";
import { money, shareOf, signed, sums } from "../model/money";
import { hrefOf } from "../model/route";
import { count } from "../model/words";
import { type Budgets, MoneyStory, type Names } from "../state/money";
import { Paged } from "./paged";
import { Problem, Section, Shown, Table, useTitle } from "./parts";

const SIGNS = { ok: "●", warning: "◆", over: "▲" } as const;
const NO_NAMES: Names = { accounts: new Map(), categories: new Map() };

export function MoneyView({ id }: { id: string }) {
  const story = useMemo(() => new MoneyStory(id), []);
  useEffect(() => story.keep(), []);
  useTitle(`Money of ${id}`);
  const accounts = story.accounts.state.value;
  const names = story.names.state.value.data ?? NO_NAMES;
  return (
    <>
      <h1 tabIndex={-1}>Money of {id}</h1>
      <p>
        <a href={hrefOf({ view: "user", id })}>{id}</a>{" "}
        <span class="quiet">
          Reads by staff, and with keys of the scope read, are recorded in the audit trail.
        </span>
      </p>
      {accounts.error?.code === "USER_NOT_FOUND" ? (
        <Problem error={accounts.error} what="the money" />
      ) : (
        <>
          <Section title="Accounts" id="accounts">
            <Shown of={accounts} what="the accounts" retry={() => void story.accounts.refresh()}>
              {(found) => <Accounts accounts={found} />}
            </Shown>
          </Section>
          <Section title="Budgets" id="budgets">
            <Shown
              of={story.budgets.state.value}
              what="the budgets"
              retry={() => void story.budgets.refresh()}
            >
              {(found) => <BudgetBars budgets={found} names={names} />}
            </Shown>
          </Section>
          <Section title="Newest transactions" id="transactions">
            <Paged of={story.transactions} what="the transactions" none="There are no transactions.">
              {(found) => <Transactions transactions={found} names={names} />}
            </Paged>
          </Section>
        </>
      )}
    </>
  );
}

function Accounts({ accounts }: { accounts: Account[] }) {
  if (accounts.length === 0) return <p>There are no accounts.</p>;
  return (
    <>
      <Table
        label="Accounts"
        head={["Account", "Type", "From", "Newest", "Balance"]}
        minor={["Type", "From"]}
        amounts={["Balance"]}
      >
        {accounts.map((each) => (
          <tr key={each.accountId}>
            <td title={each.accountId}>
              {each.name} {isNews(each) && <span class="quiet">{each.institution}</span>}
            </td>
            <td class="minor">{each.type.replaceAll("_", " ")}</td>
            <td class="minor">{each.provider ?? each.source}</td>
            <td data-label="newest transaction">
              {each.lastTransactionDate ?? <span class="quiet">none</span>}
            </td>
            <td class="amount">{money(each.balance)}</td>
          </tr>
        ))}
      </Table>
      <p>
        Net worth:{" "}
        {sums(accounts.filter((each) => each.inNetWorth).map((each) => each.balance))
          .map(money)
          .join(", ") || "none of these counts in it"}
      </p>
    </>
  );
}

/** Whether the institution says more than the name: synced accounts are named after theirs. */
function isNews({ name, institution }: Account): boolean {
  return institution !== undefined && !name.startsWith(institution);
}

function BudgetBars({ budgets: { shown, total }, names }: { budgets: Budgets; names: Names }) {
  if (total === 0) return <p>There are no budgets.</p>;
  return (
    <>
      {shown.map(({ budget, analysis }) => {
        const period = analysis.periods[0];
        return (
          <article key={budget.id} class="budget">
            <h3>
              {budget.name}{" "}
              {period && (
                <span class="quiet">
                  {period.period.from} to {period.period.to}, {count(period.period.daysLeft, "day")} left
                </span>
              )}
            </h3>
            {period?.items.length === 0 && <p class="quiet">It has no items yet.</p>}
            <ul class="bars">
              {period?.items.map((item) => (
                <Item key={item.itemId} item={item} name={names.categories.get(item.categoryId)} />
              ))}
            </ul>
          </article>
        );
      })}
      {shown.length < total && (
        <p class="quiet">
          The newest {shown.length} of {total} budgets are shown.
        </p>
      )}
    </>
  );
}

function Item({ item, name }: { item: BudgetItemAnalysis; name: string | undefined }) {
  return (
    <li>
      <span class="what">{name ?? item.categoryId}</span>
      <span class={`use ${item.status}`} aria-hidden="true">
        <span style={{ width: `${shareOf(item.spent, item.available)}%` }} />
      </span>
      <span class="figures">
        {money(item.spent)} of {money(item.available)}
        {item.usedPercent !== undefined && <span class="quiet"> {item.usedPercent} %</span>}{" "}
        {item.status !== "ok" && (
          <span class={`mark ${item.status}`}>
            <span aria-hidden="true">{SIGNS[item.status]}</span> {item.status}
          </span>
        )}
      </span>
    </li>
  );
}

function Transactions({ transactions, names }: { transactions: Transaction[]; names: Names }) {
  return (
    <>
      <Table
        label="Newest transactions"
        head={["Date", "What", "Category", "Account", "Amount"]}
        minor={["Account"]}
        amounts={["Amount"]}
      >
        {transactions.map((each) => (
          <tr key={each.id}>
            <td>{each.date}</td>
            <td title={each.id}>
              {each.payee ?? each.description ?? each.bankText ?? each.kind}{" "}
              {each.status === "pending" && <span class="quiet">pending</span>}
            </td>
            <td>{categoryOf(each, names) ?? <span class="quiet">none</span>}</td>
            <td class="minor">{names.accounts.get(each.accountId ?? "") ?? ""}</td>
            <td class="amount">{each.amount && money(signed(each.amount, each.direction))}</td>
          </tr>
        ))}
      </Table>
      <p class="quiet">{count(transactions.length, "transaction")} shown, newest first.</p>
    </>
  );
}

function categoryOf(transaction: Transaction, names: Names): string | undefined {
  const { kind, splits, categoryId } = transaction;
  if (kind === "transfer" || kind === "adjustment") return kind;
  return splits.length > 0 ? `${splits.length} parts` : names.categories.get(categoryId ?? "");
}
