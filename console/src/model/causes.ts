/** What each code of a failed sync means, and what whoever is on call does about it. */

export interface Cause {
  /** Whose doing it is. */
  whose: "platform" | "user" | "Finlink" | "nobody";
  means: string;
  todo: string;
}

const CAUSES: Record<string, Cause> = {
  PLATFORM_UNAVAILABLE: {
    whose: "platform",
    means: "The platform cannot be reached, or returns errors of its own.",
    todo: "Nothing, if it is the platform: runs catch up by themselves. Otherwise check the network to its addresses.",
  },
  PLATFORM_THROTTLED: {
    whose: "platform",
    means: "The platform's rate limit, or Finlink's own limit for it, allowed no more calls within an hour.",
    todo: "Check whether another program calls with the same app, and look at finlink_syncs_deferred_total.",
  },
  PLATFORM_DATA_ERROR: {
    whose: "platform",
    means: "The platform's reply was not understood.",
    todo: "If many connectors have it, the platform has changed its replies: the log's cause names what was wrong.",
  },
  PLATFORM_ERROR: {
    whose: "platform",
    means: "The platform refused the call for a reason of its own.",
    todo: "Open the connector: its message has the platform's words.",
  },
  REAUTH_REQUIRED: {
    whose: "user",
    means: "The platform ended the session, and it cannot be renewed.",
    todo: "The user must log in again. Zerodha ends all sessions at 06:00 IST; if many end at once at another time, the platform ended them.",
  },
  INVALID_CREDENTIALS: {
    whose: "user",
    means: "The platform refuses the credentials.",
    todo: "The user must connect again with valid credentials.",
  },
  PERMISSION_REFUSED: {
    whose: "user",
    means: "The platform refuses a data type of the sync.",
    todo: "Remove that data type from the sync settings, or have it granted at the platform.",
  },
  RUN_ABANDONED: {
    whose: "Finlink",
    means: "The worker died during the run; another one has taken the connector over.",
    todo: "Nothing for a single one. If there are many, find out what ends the workers: look for restarts and the kernel's out-of-memory killer.",
  },
  RUN_CANCELLED: {
    whose: "nobody",
    means: "Somebody cancelled the run, disconnected, or made the user inactive during it.",
    todo: "Nothing; the audit trail shows who it was.",
  },
  INTERNAL: {
    whose: "Finlink",
    means: "A fault of Finlink itself.",
    todo: "The log has the stack trace: the line `sync run failed` of this connector.",
  },
};

export function causeOf(code: string): Cause {
  return (
    CAUSES[code] ?? {
      whose: "nobody",
      means: "A kind of failure that this console does not know.",
      todo: "Open the connector: its message says more.",
    }
  );
}
