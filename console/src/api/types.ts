/** Finlink's replies, as the contract has them: `contract.ts` is made from docs/openapi.yaml by `npm run contract`. */

import type { components } from "./contract";

type Schemas = components["schemas"];

export type AuditEvent = Schemas["AuditEvent"];
export type Connector = Schemas["Connector"];
export type CancelledRun = Schemas["SyncRun"];
export type ErrorBody = Schemas["ErrorResponse"];
export type HistoryEntry = Schemas["SyncHistoryEntry"];
export type PlatformCounts = Schemas["PlatformCounts"];
export type PlatformTrend = Schemas["PlatformTrend"];
export type SessionData = Schemas["SessionData"];
export type StoredRecord = Schemas["Record"];
export type SyncRun = Schemas["SyncRun"];
export type SyncStatus = Schemas["SyncStatus"];
export type Trends = Schemas["ConnectorTrends"];
export type TriggeredSync = Schemas["TriggerSyncData"];
export type User = Schemas["User"];
export type WatchEvent = Schemas["WatchConnectorsResponse"];
/** Of a list or of the stream: what both tell. */
export type ConnectorSummary = Schemas["WatchedConnector"];

export type DataType = Connector["metadata"]["dataTypes"][number];
export type Platform = ConnectorSummary["platform"];
export type Status = ConnectorSummary["connectionStatus"];
export type RunState = SyncRun["state"];

/** Every platform is always in it. */
export interface StatusSummary {
  summary: Pick<Schemas["ConnectionCounts"], "totalConnections">;
  byPlatform: Record<Platform, PlatformCounts>;
}

export { platformValues as PLATFORMS } from "./contract";
