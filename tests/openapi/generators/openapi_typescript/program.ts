// The journey of every generated client, with openapi-typescript's and openapi-fetch: connect, or read.
import createClient from 'openapi-fetch';
import type { components, paths } from './schema';

type Schemas = components['schemas'];

const [phase, baseUrl = '', key = '', userId = '', connectorId = ''] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { 'x-api-key': key } });

function done<T>(answer: { data?: T; error?: Schemas['ErrorResponse'] }): T {
  if (answer.data === undefined) throw new Error(answer.error?.error.message);
  return answer.data;
}

function refusal(answer: { error?: Schemas['ErrorResponse']; response: Response }): object {
  if (answer.error === undefined) throw new Error('it was not refused');
  const { code, message, details } = answer.error.error;
  return {
    status: answer.response.status,
    code,
    message,
    fields: details.map((detail) => [detail.field, detail.message]),
  };
}

async function connect(): Promise<object> {
  const user = done(
    await client.POST('/api/v1/users', {
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
    }),
  ).data;
  const connector = done(
    await client.POST('/api/v1/connectors', {
      params: { header: { 'Idempotency-Key': `connect-${userId}` } },
      body: {
        userId,
        platform: 'fi_money',
        credentials: { username: '9876543210', password: 'any' },
        permissions: ['transactions', 'portfolio', 'profile', 'trades'],
      },
    }),
  ).data;
  return {
    user: user.userId,
    born: user.profile.dateOfBirth,
    income: user.profile.income,
    risk: user.profile.riskTolerance,
    tags: user.metadata.tags,
    connector: connector.id,
    status: connector.connectionStatus,
  };
}

async function walk(): Promise<Schemas['Record'][]> {
  const records: Schemas['Record'][] = [];
  let pageToken: string | undefined;
  do {
    const page: Schemas['ListRecordsData'] = done(
      await client.GET('/api/v1/connectors/{connectorId}/records', {
        params: { path: { connectorId }, query: { limit: 50, pageToken } },
      }),
    ).data;
    records.push(...page.records);
    pageToken = page.pagination.nextPageToken;
  } while (pageToken !== undefined);
  return records;
}

async function read(): Promise<object> {
  const records = await walk();
  const row = records.find((record) => record.transaction !== undefined);
  if (row?.transaction === undefined) throw new Error('there is no transaction');
  const counts: { [dataType: string]: number } = {};
  for (const { dataType } of records) counts[dataType] = (counts[dataType] ?? 0) + 1;
  const summary = done(
    await client.GET('/api/v1/connectors/status', {
      params: { query: { fromDate: '2020-01-01' } },
    }),
  ).data.summary;
  const events = done(
    await client.GET('/api/v1/audit-events', {
      params: { query: { userId, fromDate: '2020-01-01T00:00:00.5+05:30' } },
    }),
  ).data.events;
  const found = done(
    await client.GET('/api/v1/users:batchGet', {
      params: { query: { userIds: [userId, 'nobody'] } },
    }),
  ).data;
  const status = done(
    await client.GET('/api/v1/connectors/{connectorId}/sync-status', {
      params: { path: { connectorId } },
    }),
  ).data;
  const lines: string = done(
    await client.GET('/api/v1/users/{userId}/export', {
      params: { path: { userId } },
      parseAs: 'text',
    }),
  );
  const exported = lines
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Schemas['ExportUserResponse']);
  const wrong: Schemas['CreateUserRequest'] = {
    userId,
    email: 'user@example.com',
    phoneNumber: '+12',
    preferences: { currency: 'ZZZ' },
  };
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
    connections: summary.totalConnections,
    actions: events.map((event) => event.action),
    found: found.users.map((user) => user.userId),
    missing: found.missingUserIds,
    outcomes: status.syncHistory.map((entry) => entry.status),
    exported: exported.filter((each) => each.record !== undefined).length,
    complete: exported.at(-1)?.completed !== undefined,
    errors: [
      refusal(await client.POST('/api/v1/users', { body: wrong })),
      refusal(
        await client.POST('/api/v1/users', { body: { userId, email: `${userId}@example.com` } }),
      ),
      refusal(
        await client.GET('/api/v1/users/{userId}', { params: { path: { userId: 'nobody' } } }),
      ),
    ],
  };
}

(phase === 'connect' ? connect() : read()).then((made) => console.log(JSON.stringify(made)));
