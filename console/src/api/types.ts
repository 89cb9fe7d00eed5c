/** What Finlink answers, as far as the console reads it; the reference is `protos/finlink`. */

export const PLATFORMS = ["fi_money", "zerodha"] as const;
export const STATUSES = ["connected", "expired", "error", "disconnected"] as const;

export type Platform = (typeof PLATFORMS)[number];
export type Status = (typeof STATUSES)[number];
export type RunState =
  | "in_progress"
  | "deferred"
  | "success"
  | "partial"
  | "failed"
  | "cancelled"
  | "abandoned";

export interface ConnectorSummary {
  id: string;
  userId: string;
  platform: Platform;
  connectionStatus: Status;
  connectedAt?: string;
  disconnectedAt?: string;
  lastSyncAt?: string;
  expiresSoon?: boolean;
}

export interface DataTypeCount {
  dataType: string;
  recordsCount: number;
  addedCount: number;
}

export interface HistoryEntry {
  syncedAt: string;
  status: "success" | "partial" | "failed";
  recordsCount?: number;
  addedCount?: number;
  errorMessage?: string;
  errorCode?: string;
  syncId?: string;
  startedAt?: string;
}

export interface ConnectorFault {
  errorCode: string;
  errorMessage: string;
  occurredAt: string;
}

export interface Connector {
  id: string;
  userId: string;
  platform: Platform;
  connectionStatus: Status;
  connectionDetails: {
    connectedAt?: string;
    disconnectedAt?: string;
    lastSyncAt?: string;
    expiresAt?: string;
    expiresSoon: boolean;
    syncInterval: number;
  };
  metadata: { accountType?: string; permissions: string[]; dataTypes: string[] };
  syncHistory: HistoryEntry[];
  errors: ConnectorFault[];
  createdAt: string;
}

export interface SyncStatus {
  nextSyncAt?: string;
  autoSync: boolean;
  currentSyncId?: string;
  totalSyncs: number;
  successfulSyncs: number;
  failedSyncs: number;
  successRate: number;
}

export interface SyncRun {
  syncId: string;
  state: RunState;
  startedAt?: string;
  finishedAt?: string;
  counts: DataTypeCount[];
  error?: { code: string; message: string };
}

export interface TriggeredSync {
  syncId?: string;
  status: "in_progress" | "skipped";
  reason?: string;
}

export interface PlatformCounts {
  total: number;
  active: number;
  disconnected: number;
  error: number;
  expired: number;
}

export interface StatusSummary {
  summary: { totalConnections: number };
  byPlatform: Record<Platform, PlatformCounts>;
}

export interface PlatformTrend {
  platform: Platform;
  connected?: number;
  disconnected?: number;
  expired?: number;
  error?: number;
  succeeded: number;
  partial: number;
  failed: number;
  started: number;
  lateSecondsMax?: number;
  lateSecondsMean?: number;
  failures: { code: string; count: number }[];
}

export interface TrendPoint {
  at: string;
  platforms: PlatformTrend[];
}

export interface Trends {
  stepSeconds: number;
  points: TrendPoint[];
}

export interface AuditEvent {
  id: string;
  at: string;
  action: string;
  userId?: string;
  connectorId?: string;
  platform?: Platform;
  code?: string;
}

export interface WatchEvent {
  resumeToken: string;
  type: "ready" | "heartbeat" | "connector" | "sync" | "deleted";
  occurredAt: string;
  connector?: ConnectorSummary;
  sync?: SyncRun;
  endedSync?: SyncRun;
}

export interface ErrorBody {
  error: {
    code: string;
    message: string;
    details: { field: string; message: string }[];
  };
}
