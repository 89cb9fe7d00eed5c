// The journey of every generated client, with hey-api's: connect, or read.
import {
  batchGetUsers,
  createConnector,
  createUser,
  exportUser,
  getConnectorStatusSummary,
  getSyncStatus,
  getUser,
  listAuditEvents,
  listRecords,
  watchConnectors,
} from './client';
import type {
  CreateUserRequest,
  ErrorResponse,
  ExportUserResponse,
  Record as FinlinkRecord,
  WatchConnectorsResponse,
} from './client';
import { client } from './client/client.gen';

async function connect(userId: string): Promise<object> {
  const user = await createUser({
    throwOnError: true,
    body: {
      userId,
      email: `${userId}@example.com`,
      phoneNumber: '+91-9876543210',
      dateOfBirth: '1990-01-15',
      income: 1_200_000.5,
      riskTolerance: 'medium',
      preferences: { currency: 'INR' },
      metadata: { tags: ['premium'] },
    },
  });
  const connector = await createConnector({
    throwOnError: true,
    headers: { 'Idempotency-Key': `connect-${userId}` },
    body: {
      userId,
      platform: 'fi_money',
      credentials: { username: '9876543210', password: 'any' },
      permissions: ['transactions', 'portfolio', 'profile', 'trades'],
    },
  });
  const { profile, metadata } = user.data.data;
  const { id, connectionStatus } = connector.data.data;
  return {
    user: user.data.data.userId,
    born: profile.dateOfBirth,
    income: profile.income,
    risk: profile.riskTolerance,
    tags: metadata.tags,
    connector: id,
    status: connectionStatus,
  };
}

async function walk(connectorId: string): Promise<FinlinkRecord[]> {
  const records: FinlinkRecord[] = [];
  let pageToken: string | undefined;
  do {
    const page = await listRecords({
      throwOnError: true,
      path: { connectorId },
      query: { limit: 50, pageToken },
    });
    records.push(...page.data.data.records);
    pageToken = page.data.data.pagination.nextPageToken;
  } while (pageToken !== undefined);
  return records;
}

function refusal(answer: { error?: ErrorResponse; response?: Response }): object {
  if (answer.error === undefined) throw new Error('it was not refused');
  const { code, message, details } = answer.error.error;
  return {
    status: answer.response?.status,
    code,
    message,
    fields: details.map((detail) => [detail.field, detail.message]),
  };
}

/** The type of the first event of a watch, which comes at once. */
async function watched(): Promise<WatchConnectorsResponse['type']> {
  const ended = new AbortController();
  const { stream } = await watchConnectors({ signal: ended.signal });
  for await (const event of stream as AsyncIterable<unknown>) {
    ended.abort();
    return (event as WatchConnectorsResponse).type;
  }
  throw new Error('the watch ended');
}

async function read(userId: string, connectorId: string): Promise<object> {
  const records = await walk(connectorId);
  const row = records.find((record) => record.transaction !== undefined);
  if (row?.transaction === undefined) throw new Error('there is no transaction');
  const counts: { [dataType: string]: number } = {};
  for (const { dataType } of records) counts[dataType] = (counts[dataType] ?? 0) + 1;
  const summary = await getConnectorStatusSummary({
    throwOnError: true,
    query: { fromDate: '2020-01-01' },
  });
  const events = await listAuditEvents({
    throwOnError: true,
    query: { userId, fromDate: '2020-01-01T00:00:00.5+05:30' },
  });
  const found = await batchGetUsers({ throwOnError: true, query: { userIds: [userId, 'nobody'] } });
  const status = await getSyncStatus({ throwOnError: true, path: { connectorId } });
  const file = await exportUser({ throwOnError: true, path: { userId } });
  const exported = (await file.data.text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as ExportUserResponse);
  const wrong: CreateUserRequest = {
    userId,
    email: 'user@example.com',
    phoneNumber: '+12',
    preferences: { currency: 'ZZZ' },
  };
  if ((await watched()) !== 'ready') throw new Error('a watch begins with another event');
  return {
    records: counts,
    trades: records.filter((record) => record.trade !== undefined).length,
    holdings: records.filter((record) => record.holding !== undefined).length,
    transaction: {
      id: row.id,
      date: row.transaction.date,
      direction: row.transaction.direction,
      amount: row.transaction.amount.value,
    },
    connections: summary.data.data.summary.totalConnections,
    actions: events.data.data.events.map((event) => event.action),
    found: found.data.data.users.map((user) => user.userId),
    missing: found.data.data.missingUserIds,
    outcomes: status.data.data.syncHistory.map((entry) => entry.status),
    exported: exported.filter((each) => each.record !== undefined).length,
    complete: exported.at(-1)?.completed !== undefined,
    errors: [
      refusal(await createUser({ body: wrong })),
      refusal(await createUser({ body: { userId, email: `${userId}@example.com` } })),
      refusal(await getUser({ path: { userId: 'nobody' } })),
    ],
  };
}

const [phase, baseUrl = '', key = '', userId = '', connector = ''] = process.argv.slice(2);
// An access token would be of the other scheme.
client.setConfig({ baseUrl, auth: ({ type }) => (type === 'apiKey' ? key : undefined) });
(phase === 'connect' ? connect(userId) : read(userId, connector)).then((made) =>
  console.log(JSON.stringify(made)),
);
