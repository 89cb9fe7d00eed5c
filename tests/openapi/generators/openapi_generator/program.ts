// The journey of every generated client, with OpenAPI Generator's for TypeScript: connect, or read.
import {
  AuditTrailApi,
  Configuration,
  ConnectorsApi,
  ErrorResponseFromJSON,
  ExportUserResponseFromJSON,
  ExportsApi,
  ModelRecordFromJSON,
  ResponseError,
  SyncsApi,
  UsersApi,
} from './client';
import type { CreateUserRequest, ErrorResponse, ModelRecord } from './client';

const [phase, basePath = '', apiKey = '', userId = '', connectorId = ''] = process.argv.slice(2);
const configuration = new Configuration({ basePath, apiKey });
const users = new UsersApi(configuration);
const connectors = new ConnectorsApi(configuration);

async function refusal(call: Promise<unknown>): Promise<object> {
  try {
    await call;
  } catch (raised) {
    if (!(raised instanceof ResponseError)) throw raised;
    const error: ErrorResponse = ErrorResponseFromJSON(await raised.response.json());
    return {
      status: raised.response.status,
      code: error.error.code,
      message: error.error.message,
      fields: error.error.details.map((detail) => [detail.field, detail.message]),
    };
  }
  throw new Error('it was not refused');
}

async function connect(): Promise<object> {
  const user = (
    await users.createUser({
      createUserRequest: {
        userId,
        email: `${userId}@example.com`,
        phoneNumber: '+91-9876543210',
        dateOfBirth: new Date('1990-01-15'),
        income: 1_200_000.5,
        riskTolerance: 'medium',
        preferences: { currency: 'INR' },
        metadata: { tags: new Set(['premium']) },
      },
    })
  ).data;
  const connector = (
    await connectors.createConnector({
      idempotencyKey: `connect-${userId}`,
      createConnectorRequest: {
        userId,
        platform: 'fi_money',
        credentials: { username: '9876543210', password: 'any' },
        permissions: new Set(['transactions', 'portfolio', 'profile', 'trades']),
      },
    })
  ).data;
  return {
    user: user.userId,
    born: user.profile.dateOfBirth?.toISOString().slice(0, 10),
    income: user.profile.income,
    risk: user.profile.riskTolerance,
    tags: [...user.metadata.tags],
    connector: connector.id,
    status: connector.connectionStatus,
  };
}

async function walk(): Promise<ModelRecord[]> {
  const records: ModelRecord[] = [];
  let pageToken: string | undefined;
  do {
    const page = (await connectors.listRecords({ connectorId, limit: 50, pageToken })).data;
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
  const summary = await connectors.getConnectorStatusSummary({ fromDate: '2020-01-01' });
  const events = await new AuditTrailApi(configuration).listAuditEvents({
    userId,
    fromDate: '2020-01-01T00:00:00.5+05:30',
  });
  const found = (await users.batchGetUsers({ userIds: new Set([userId, 'nobody']) })).data;
  const status = await new SyncsApi(configuration).getSyncStatus({ connectorId });
  const file: Blob = await new ExportsApi(configuration).exportUser({ userId });
  const exported = (await file.text())
    .trimEnd()
    .split('\n')
    .map((line) => ExportUserResponseFromJSON(JSON.parse(line)));
  const wrong: CreateUserRequest = {
    userId,
    email: 'user@example.com',
    phoneNumber: '+12',
    preferences: { currency: 'ZZZ' },
  };
  const taken: CreateUserRequest = { userId, email: `${userId}@example.com` };
  const later = ModelRecordFromJSON({ ...JSON.parse(JSON.stringify(row)), later: 1 });
  return {
    records: counts,
    trades: records.filter((record) => record.trade !== undefined).length,
    holdings: records.filter((record) => record.holding !== undefined).length,
    transaction: {
      id: later.id,
      date: row.transaction.date,
      direction: row.transaction.direction,
      amount: row.transaction.amount.value,
    },
    connections: summary.data.summary.totalConnections,
    actions: events.data.events.map((event) => event.action),
    found: found.users.map((user) => user.userId),
    missing: found.missingUserIds,
    outcomes: status.data.syncHistory.map((entry) => entry.status),
    exported: exported.filter((each) => each.record !== undefined).length,
    complete: exported.at(-1)?.completed !== undefined,
    errors: [
      await refusal(users.createUser({ createUserRequest: wrong })),
      await refusal(users.createUser({ createUserRequest: taken })),
      await refusal(users.getUser({ userId: 'nobody' })),
    ],
  };
}

(phase === 'connect' ? connect() : read()).then((made) => console.log(JSON.stringify(made)));
