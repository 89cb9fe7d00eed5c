// Documents as callers see them.

export const reply = (body) => ({ success: true, ...body, timestamp: new Date().toISOString() });

const day = (date) => (date ? date.toISOString().slice(0, 10) : undefined);

export const toProfile = (profile = {}) => ({
  ...profile,
  dateOfBirth: day(profile.dateOfBirth),
});

export const toUser = (user) => ({
  id: user._id.toString(),
  userId: user.userId,
  email: user.email,
  profile: toProfile(user.profile),
  preferences: user.preferences,
  status: user.status,
  emailVerified: user.emailVerified,
  metadata: user.metadata,
  createdAt: user.createdAt,
  updatedAt: user.updatedAt,
});

const SOON = 10 * 60_000;

export const toConnector = (connector, now) => {
  const details = connector.connectionDetails ?? {};
  const expiresAt = connector.credentials?.tokenExpiresAt;
  const live = ["connected", "error"].includes(connector.connectionStatus);
  return {
    id: connector._id.toString(),
    userId: connector.userId,
    platform: connector.platform,
    connectionStatus: connector.connectionStatus,
    sessionId: connector.sessionId,
    connectedAt: details.connectedAt,
    disconnectedAt: details.disconnectedAt,
    lastSyncAt: details.lastSyncAt,
    sessionDuration:
      live && details.connectedAt
        ? Math.floor((now - details.connectedAt) / 60_000)
        : (details.sessionDuration ?? 0),
    syncInterval: details.syncInterval,
    permissions: connector.metadata?.permissions ?? [],
    accountType: connector.metadata?.accountType,
    expiresSoon: Boolean(live && expiresAt && expiresAt - now <= SOON),
    lastRun: toLastRun(connector.syncHistory?.[0]),
    failing: connector.failing ?? false,
  };
};

const toLastRun = (run) =>
  run && {
    state: run.status,
    finishedAt: run.syncedAt,
    syncId: run.syncId,
    errorCode: run.errorCode,
    missing: (run.missing ?? []).map((each) => each.dataType),
  };
