import type { IPublishPacket } from 'mqtt';
import type { ControllerStatus, RolloutResponse } from '../../contracts/rollout.ts';
import { codeOf, messageOf } from '../../util/errors.ts';
import type { BrokerSettings, ProtocolVersion } from '../broker-link.ts';
import type { OutgoingMessage } from '../protocol/outgoing.ts';
import type { Signer } from '../protocol/signed.ts';
import { topicFilter, topicFor } from '../protocol/topics.ts';
import { ReportError } from '../report-error.ts';
import { startFleetLink, type FleetLink } from '../roster/fleet-link.ts';
import { RolloutError } from '../rollouts/error.ts';
import type { Retention } from './retention.ts';
import { Desk } from './desk.ts';
import { FleetTime } from './fleet-time.ts';
import { addressOf, receive, type Addressed } from './inbox.ts';
import { startLeadership, type Leadership } from './leadership.ts';
import { Publisher } from './publisher.ts';
import { Rivals } from './rivals.ts';
import type { Store } from './store/store.ts';
import type { ControllerTrust } from './trust.ts';

export interface ControllerOptions {
  readonly controllerId: string;
  /** Version of the agent. */
  readonly agent: string;
  readonly broker: BrokerSettings;
  readonly timeoutMs: number;
  readonly protocols?: readonly ProtocolVersion[];
  readonly store: Store;
  readonly trust: ControllerTrust;
  readonly signer: Signer;
  readonly log: {
    readonly info: (fields: object, message: string) => void;
    readonly warn: (fields: object, message: string) => void;
  };
  /** Of rollouts that have ended. */
  readonly keep?: Retention | undefined;
  readonly tickMs?: number;
  readonly now?: () => number;
}

export interface Controller {
  readonly link: FleetLink;
  /** The desk, while this controller leads. */
  readonly desk: () => Desk | null;
  readonly epoch: () => number | null;
  readonly stop: () => Promise<void>;
}

const TICK_MS = 250;
const STATUS_MS = 60_000;

/**
 * Follows the fleet, and leads when nobody else does: takes commands and carries rollouts on. Starts at
 * once; never throws.
 */
export function startController(options: ControllerOptions): Controller {
  const { controllerId, store, trust, log, now = Date.now } = options;
  let desk: Desk | null = null;
  let ticking: NodeJS.Timeout | undefined;
  const fleetTime = new FleetTime();
  let session = 0;
  let since = new Date(now());
  let leadership: Leadership | null = null;
  const epoch = () => leadership?.epoch() ?? null;

  const status = (state: ControllerStatus['state'], ts: Date | null): OutgoingMessage => {
    const document: ControllerStatus = {
      schema: 'edgefit/controller/1',
      controllerId,
      state,
      epoch: epoch(),
      session,
      since: since.toISOString(),
      ts: ts?.toISOString() ?? null,
      agent: options.agent,
      devices: link.complete() ? link.roster.size : null,
    };
    const topic = topicFor('controllerStatus', { controller: controllerId });
    return { topic, payload: JSON.stringify(document), retain: true, schema: document.schema };
  };
  const sayStatus = () => {
    if (!link.connected()) return;
    const state = desk === null ? 'standby' : 'leading';
    link.publish(status(state, new Date(now()))).catch((error: unknown) => {
      log.warn({ why: messageOf(error) }, 'no status published');
    });
  };

  /** Whatever the store or the broker says: nothing more is done by a desk that cannot be kept. */
  const carryOn = async (of: Desk, work: Promise<void>, what: string): Promise<void> => {
    try {
      await work;
    } catch (error) {
      log.warn({ why: messageOf(error), code: codeOf(error) }, what);
      // What the broker does not give now, no other lead would get.
      if (!(error instanceof ReportError) && of === desk) leadership?.lose();
    }
  };
  const publisher = new Publisher({
    publish: (message) => link.publish(message),
    mayPublish: () => epoch() !== null && link.connected(),
    warn: (why) => log.warn({ why }, 'not published'),
  });
  let recovering = false;
  const tick = async (): Promise<void> => {
    const current = desk;
    if (current === null || epoch() === null) return;
    if (link.connected() && !recovering && publisher.takeFailed()) {
      recovering = true;
      await carryOn(current, current.recover(), 'what the broker has cannot be compared');
      recovering = false;
    }
    // A fleet that is not known completely is not judged.
    if (link.complete()) await carryOn(current, current.tick(), 'the rollouts cannot go on');
  };

  const link = startFleetLink({
    ...options,
    clientId: controllerId,
    filters: [topicFilter('rolloutCommand'), topicFilter('controllerStatus')],
    mustRead: true,
    will: () => {
      session = Math.max(session + 1, Math.floor(now() / 1000));
      since = new Date(now());
      return status('offline', null);
    },
    onMessage: (message, arrival) => {
      fleetTime.hear(message, arrival);
      if (message.kind === 'record' && message.value !== null) desk?.hear(message.value);
      if (message.kind === 'card') desk?.hearCard(message.deviceId, message.value !== null);
    },
    onOther: (packet) => void onOther(packet),
    onConnected: () => {
      sayStatus();
      const current = desk;
      if (current !== null)
        void carryOn(current, current.recover(), 'the broker cannot be compared');
    },
    onReconciled: ({ devices, seconds, complete }) => {
      log.info({ devices, seconds, complete }, 'the fleet is read');
      sayStatus();
      const current = desk;
      if (current !== null)
        void carryOn(current, current.catchUp(), 'the ends of jobs cannot be read');
    },
  });

  const rivals = new Rivals({
    controllerId,
    epoch,
    warn: (fields, message) => log.warn(fields, message),
  });
  const onOther = async (packet: IPublishPacket): Promise<void> => {
    if (rivals.hear(packet)) return;
    const address = addressOf(packet.topic);
    if (address === null || desk === null || epoch() === null) return;
    const answer = await answerTo(packet, address, desk);
    publisher.send(responseMessage(answer));
  };

  const answerTo = async (packet: IPublishPacket, address: Addressed, current: Desk) => {
    const received = receive(packet, address, await trust.keyring(), now());
    const base = {
      schema: 'edgefit/rollout-response/1' as const,
      ...address,
      controllerId,
      ts: new Date(now()).toISOString(),
    };
    if ('error' in received) return { ...base, ok: false, rollout: null, error: received.error };
    try {
      const rollout = await current.obey(address.rolloutId, received.command);
      return { ...base, ok: true, rollout, error: null };
    } catch (error) {
      const code = codeOf(error) ?? 'unexpected';
      // Anything else is no refusal: what the desk has in mind may not be what is kept.
      if (!(error instanceof RolloutError) && current === desk) leadership?.lose();
      return { ...base, ok: false, rollout: null, error: { code, text: messageOf(error) } };
    }
  };

  leadership = startLeadership({
    store,
    controllerId,
    log,
    ready: () => (link.complete() ? lowestEpoch(link) : null),
    able: () => link.connected(),
    onLead: async (newEpoch) => {
      const parts = { epoch: newEpoch, link, publisher, now, fleetNow: () => fleetTime.now() };
      const opened = await Desk.open({ ...options, ...parts });
      // From here on it hears what devices say; what they said before is read.
      desk = opened;
      await opened.recover();
      const repeat = async (): Promise<void> => {
        await tick();
        if (desk === opened) ticking = setTimeout(() => void repeat(), options.tickMs ?? TICK_MS);
      };
      void repeat();
      sayStatus();
    },
    onLost: () => {
      clearTimeout(ticking);
      desk = null;
      publisher.drop();
      sayStatus();
    },
  });
  const refreshing = setInterval(sayStatus, STATUS_MS);

  return {
    link,
    desk: () => desk,
    epoch,
    stop: async () => {
      clearInterval(refreshing);
      await leadership?.stop();
      await link.stop(status('offline', new Date(now())));
      await store.close();
    },
  };
}

/** No fleet gets so far by changing its leader; a device that says so is not believed. */
const MAX_EPOCH = 2 ** 40;

/**
 * Devices refuse what is older than the highest epoch that they have seen. What they report is not
 * signed: one that made up the largest number would leave none for any leader after this one.
 */
function lowestEpoch({ roster }: FleetLink): number {
  let highest = 0;
  for (const { counters } of roster.rows()) {
    const epoch = counters?.epoch ?? 0;
    if (epoch <= MAX_EPOCH) highest = Math.max(highest, epoch);
  }
  return highest + 1;
}

function responseMessage(answer: RolloutResponse): OutgoingMessage {
  const { rolloutId, requestId } = answer;
  return {
    topic: topicFor('rolloutResponse', { rollout: rolloutId, request: requestId }),
    payload: JSON.stringify(answer),
    retain: false,
    schema: answer.schema,
  };
}
