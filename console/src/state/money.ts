/** A user's money, read on the user's behalf. */

import { read } from "../api/client";
import { isPerson, person } from "../api/person";
import type { Account, Budget, BudgetAnalysis, Category, Transaction } from "../api/types";
import { Pages, pageOf } from "./pages";
import { Resource } from "./resource";

/** As many budgets are shown with their bars, because each is a call. */
const MOST_BUDGETS = 10;
const PAGE = 25;

export interface Names {
  accounts: Map<string, string>;
  categories: Map<string, string>;
}

export interface Budgets {
  /** The newest. */
  shown: { budget: Budget; analysis: BudgetAnalysis }[];
  total: number;
}

export class MoneyStory {
  readonly accounts = new Resource((signal) => this.listed<Account>("accounts", "accounts", signal));
  readonly names = new Resource((signal) => this.allNames(signal));
  readonly budgets = new Resource((signal) => this.analyzed(signal));
  readonly transactions = new Pages<Transaction>(async (pageToken, signal) => {
    const { transactions, pagination } = await this.read<{
      transactions: Transaction[];
      pagination?: { nextPageToken?: string };
    }>("/transactions", { limit: PAGE, pageToken }, signal);
    return pageOf(transactions, pagination);
  });

  constructor(readonly id: string) {}

  keep(): () => void {
    const parts = [this.accounts, this.names, this.budgets];
    for (const each of parts) void each.refresh();
    return () => {
      for (const each of parts) each.stop();
    };
  }

  private read<T>(path: string, query: Parameters<typeof read>[1], signal?: AbortSignal): Promise<T> {
    const isOwn = isPerson.value && person.value?.userId === this.id;
    return read<T>(path, query, signal, isOwn ? undefined : this.id);
  }

  private async listed<T>(path: string, name: string, signal: AbortSignal, archived = "false"): Promise<T[]> {
    const found = await this.read<Record<string, T[]>>(`/${path}`, { archived }, signal);
    return found[name] ?? [];
  }

  /** Of all, archived ones included. */
  private async allNames(signal: AbortSignal): Promise<Names> {
    const of = <T>(path: string) =>
      Promise.all(["false", "true"].map((archived) => this.listed<T>(path, path, signal, archived)));
    const [accounts, categories] = await Promise.all([of<Account>("accounts"), of<Category>("categories")]);
    return {
      accounts: new Map(accounts.flat().map((each) => [each.accountId, each.name])),
      categories: new Map(categories.flat().map((each) => [each.id, each.name])),
    };
  }

  private async analyzed(signal: AbortSignal): Promise<Budgets> {
    const budgets = await this.listed<Budget>("budgets", "budgets", signal);
    const shown = await Promise.all(
      budgets.slice(0, MOST_BUDGETS).map(async (budget) => ({
        budget,
        analysis: await this.read<BudgetAnalysis>(`/budgets/${budget.id}/analysis`, {}, signal),
      })),
    );
    return { shown, total: budgets.length };
  }
}
