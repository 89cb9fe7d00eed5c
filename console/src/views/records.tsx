/** What syncs have stored of a connector. */

import { useMemo, useState } from "preact/hooks";
import type { DataType, StoredRecord } from "../api/types";
import { type Money, money } from "../model/money";
import { count } from "../model/words";
import type { ConnectorStory } from "../state/connectors";
import { Folded } from "./folded";
import { Paged } from "./paged";
import { Table, Time } from "./parts";

export function Records({ story, types }: { story: ConnectorStory; types: DataType[] }) {
  return (
    <Folded title="Records" id="records">
      <Chosen story={story} types={types} />
    </Folded>
  );
}

function Chosen({ story, types }: { story: ConnectorStory; types: DataType[] }) {
  const [type, setType] = useState<DataType>(types[0] ?? "transactions");
  const pages = useMemo(() => story.records(type), [type]);
  return (
    <>
      <p class="filters">
        <label>
          Data type{" "}
          <select value={type} onChange={(event) => setType(event.currentTarget.value as DataType)}>
            {types.map((each) => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </select>
        </label>
      </p>
      <Paged of={pages} what="the records" none={`No sync has stored any ${type} yet.`}>
        {(records) => (
          <>
            <Table label="Records" head={HEADS[type]} minor={["Stored", "Changed"]}>
              {records.map((record) => (
                <Row key={record.id} record={record} />
              ))}
            </Table>
            <p class="quiet">{count(records.length, "record")} shown, newest first.</p>
          </>
        )}
      </Paged>
    </>
  );
}

const HEADS: { [type in DataType]: string[] } = {
  transactions: ["Date", "What", "Amount", "Balance afterwards", "Stored"],
  trades: ["When", "What", "Quantity", "Amount", "Stored"],
  portfolio: ["Kind", "What", "Quantity", "Value", "Changed"],
  profile: ["Name", "Email", "Account", "Changed"],
};

function Row({ record }: { record: StoredRecord }) {
  const { transaction, trade, holding, profile } = record;
  const gone = record.withdrawnAt && <span class="mark expired"> withdrawn</span>;
  if (transaction)
    return (
      <tr>
        <td>{transaction.date}</td>
        <td class="text">
          {transaction.narration} {gone}
        </td>
        <td class="amount">
          {transaction.direction === "debit" && "−"}
          <Amount of={transaction.amount} />
        </td>
        <td class="amount" data-label="Balance">
          <Amount of={transaction.balanceAfter} />
        </td>
        <Stored at={record.addedAt} />
      </tr>
    );
  if (trade)
    return (
      <tr>
        <td>{trade.time ? <Time at={trade.time} far /> : trade.date}</td>
        <td class="text">
          {trade.side} {trade.symbol ?? trade.fund} {gone}
        </td>
        <td data-label="Quantity">
          {trade.quantity} units{trade.price && ` at ${trade.price}`}
        </td>
        <td class="amount">
          <Amount of={trade.amount} />
        </td>
        <Stored at={record.addedAt} />
      </tr>
    );
  if (holding)
    return (
      <tr>
        <td>{holding.kind.replaceAll("_", " ")}</td>
        <td class="text">
          {holding.name} {holding.closedAt && <span class="mark disconnected">closed</span>}
        </td>
        <td data-label="Quantity">{holding.quantity && `${holding.quantity} units`}</td>
        <td class="amount">
          <Amount of={holding.value} />
        </td>
        <Stored at={record.updatedAt} />
      </tr>
    );
  return (
    <tr>
      <td>{profile?.name}</td>
      <td>{profile?.email}</td>
      <td>{profile?.accountType}</td>
      <Stored at={record.updatedAt} />
    </tr>
  );
}

const Amount = ({ of }: { of: Money | undefined }) => <>{of && money(of)}</>;

function Stored({ at }: { at: string }) {
  return (
    <td class="quiet minor">
      <Time at={at} far />
    </td>
  );
}
