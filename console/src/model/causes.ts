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
    means: "The platform cannot be reached, or answers with failures of its own.",
    todo: "Nothing, if it is the platform: runs catch up by themselves. Else look at the way out to its addresses.",
  },
  PLATFORM_THROTTLED: {
    whose: "platform",
    means: "The platform, or Finlink's budget for it, allowed no more calls within an hour.",
    todo: "Look whether another program calls with the same app, and at finlink_syncs_deferred_total.",
  },
  PLATFORM_DATA_ERROR: {
    whose: "platform",
    means: "The platform's answer was not understood.",
    todo: "Where many have it the platform has changed its answers: the log's cause names what was wrong.",
  },
  PLATFORM_ERROR: {
    whose: "platform",
    means: "The platform refused the call for a reason of its own.",
    todo: "The connector's message has the platform's words.",
  },
  REAUTH_REQUIRED: {
    whose: "user",
    means: "The platform ended the session, and it cannot be renewed.",
    todo: "The user must log in again. Zerodha ends all sessions at 06:00 IST; at other times many at once are the platform's doing.",
  },
  INVALID_CREDENTIALS: {
    whose: "user",
    means: "The platform refuses the credentials.",
    todo: "The user must connect again, with the right ones.",
  },
  PERMISSION_REFUSED: {
    whose: "user",
    means: "The platform does not give a data type that is asked for.",
    todo: "Have that data type taken out of the sync settings, or granted at the platform.",
  },
  RUN_ABANDONED: {
    whose: "Finlink",
    means: "The worker died during the run; another one has taken the connector over.",
    todo: "One is nothing. Many: who ends the workers? Look for restarts and the kernel's out-of-memory killer.",
  },
  RUN_CANCELLED: {
    whose: "nobody",
    means: "Somebody cancelled the run, disconnected, or made the user inactive meanwhile.",
    todo: "Nothing; the audit trail has who.",
  },
  INTERNAL: {
    whose: "Finlink",
    means: "A fault of Finlink's own.",
    todo: "The log has where: the line `sync run failed`, by connector.",
  },
};

export function causeOf(code: string): Cause {
  return (
    CAUSES[code] ?? {
      whose: "nobody",
      means: "A kind of failure that this console does not know.",
      todo: "Open the connector: its message tells more.",
    }
  );
}
