import { useMemo } from "preact/hooks";
import { mayAudit } from "../api/person";
import { audited } from "../state/connectors";
import { Folded } from "./folded";
import { Paged } from "./paged";
import { platformName, Table, Time } from "./parts";

/** What was done to a connector or a user, and by whom; read once it is opened. Not for moderators. */
export function Audit({ of }: { of: { connectorId: string } | { userId: string } }) {
  if (!mayAudit.value) return null;
  return (
    <Folded title="Audit trail" id="audit">
      <Events of={of} />
    </Folded>
  );
}

function Events({ of }: { of: { connectorId: string } | { userId: string } }) {
  const pages = useMemo(() => audited(of), [JSON.stringify(of)]);
  const ofUser = "userId" in of;
  return (
    <Paged of={pages} what="the audit trail" none="The audit trail has nothing about it.">
      {(events) => (
        <Table label="Audit trail" head={["When", "What", ...(ofUser ? ["Platform"] : []), "Who", "About"]}>
          {events.map((event) => (
            <tr key={event.id}>
              <td>
                <Time at={event.at} />
              </td>
              <td>
                <code>{event.action}</code>
              </td>
              {ofUser && <td>{event.platform && platformName(event.platform)}</td>}
              <td data-label="by">
                {event.actor.key ?? event.actor.userId ?? event.actor.kind}
                {event.actor.address && <span class="quiet"> from {event.actor.address}</span>}
              </td>
              <td>
                {event.code && <code>{event.code}</code>} {event.fields.join(", ")}
              </td>
            </tr>
          ))}
        </Table>
      )}
    </Paged>
  );
}
