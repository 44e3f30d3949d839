import { readFile } from 'node:fs/promises';
import { connectAsync } from 'mqtt';
import {
  rolloutCommandSchema,
  rolloutSchema,
  rolloutSpecSchema,
  type JobCounts,
  type Rollout,
  type RolloutCommand,
  type RolloutCommandName,
  type RolloutState,
  type Wave,
} from '../../../agent/contracts/rollout.ts';
import { verifyDocument, type Keyring } from '../../../agent/fleet/protocol/signed.ts';

/**
 * Answers commands as the controller does and publishes records that a test sets, so that every state
 * of a rollout can be looked at. It believes signed commands only.
 */
export interface StandInController {
  /** Commands that it has believed, in order. */
  readonly commands: readonly RolloutCommand[];
  readonly publish: (rollout: Rollout) => Promise<void>;
  readonly stop: () => Promise<void>;
}

const ROOT = 'edgefit/v1';
const ID = 'stand-in';

/** The public half that lies beside a private key file of the simulation. */
export async function keyringOf(keyFile: string): Promise<Keyring> {
  const text = await readFile(keyFile.replace(/\.json$/, '.pub.json'), 'utf8');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own file
  const { keyId, public: key } = JSON.parse(text) as { keyId: string; public: string };
  return { keys: new Map([[keyId, key]]), threshold: 1 };
}

export function counts(given: Partial<JobCounts>): JobCounts {
  const none = { pending: 0, open: 0, succeeded: 0, failed: 0, rejected: 0, canceled: 0 };
  return { targets: 0, rolledBack: 0, ...none, ...given };
}

export function wave(index: number, given: Partial<Wave>): Wave {
  return {
    index,
    kind: index === 0 ? 'canary' : 'percent',
    percent: index === 0 ? null : 100,
    state: 'scheduled',
    counts: counts({}),
    classes: {},
    startedAt: null,
    soakUntil: null,
    endedAt: null,
    compared: null,
    verdict: null,
    ...given,
  };
}

/** A rollout of 40 devices, 2 of them canaries. */
export function rollout(rolloutId: string, given: Partial<Rollout> = {}): Rollout {
  const now = new Date().toISOString();
  return rolloutSchema.parse({
    schema: 'edgefit/rollout/1',
    rolloutId,
    rev: 1,
    epoch: 1,
    state: 'running',
    spec: rolloutSpecSchema.parse({ model: { name: 'kws', version: '2.0.0' } }),
    createdAt: now,
    createdBy: 'otto',
    startedAt: now,
    endedAt: null,
    ts: now,
    reason: null,
    wave: 0,
    waves: [
      wave(0, {
        state: 'running',
        counts: counts({ targets: 2, open: 2 }),
        classes: { 'rpi-5': 2 },
      }),
      wave(1, {
        counts: counts({ targets: 38, pending: 38 }),
        classes: { 'rpi-5': 30, 'rpi-4b': 8 },
      }),
    ],
    counts: counts({ targets: 40, open: 2, pending: 38 }),
    offline: 3,
    left: [{ reason: 'run this version already', devices: 5, examples: ['sim-00001'] }],
    failures: [],
    ...given,
  });
}

const AFTER: Readonly<Record<RolloutCommandName, RolloutState>> = {
  create: 'planned',
  plan: 'planned',
  approve: 'running',
  pause: 'paused',
  resume: 'running',
  abort: 'aborted',
  rollback: 'aborted',
};

function answerTo(command: RolloutCommand, before: Rollout | undefined): Rollout {
  const { deviceId: rolloutId, command: name, spec } = command;
  const state = name === 'create' && command.approve === true ? 'running' : AFTER[name];
  return {
    ...(before ?? rollout(rolloutId)),
    ...(spec === undefined ? {} : { spec }),
    rev: (before?.rev ?? 0) + 1,
    state,
  };
}

export async function startStandIn(url: string, keyring: Keyring): Promise<StandInController> {
  const client = await connectAsync(url, { reconnectPeriod: 0 });
  const known = new Map<string, Rollout>();
  const commands: RolloutCommand[] = [];
  const say = (topic: string, value: unknown, retain: boolean) =>
    client.publishAsync(`${ROOT}/${topic}`, JSON.stringify(value), { qos: 1, retain });
  const publish = async (value: Rollout) => {
    known.set(value.rolloutId, value);
    await say(`r/${value.rolloutId}/state`, value, true);
  };
  const obey = async (topic: string, payload: Buffer) => {
    const rolloutId = topic.split('/')[3] ?? '';
    const { signed } = verifyDocument(payload, {
      type: 'rollout',
      deviceId: rolloutId,
      keyring,
      nowMs: Date.now(),
      minCounter: 0,
    });
    const command = rolloutCommandSchema.parse(signed);
    commands.push(command);
    const answer = answerTo(command, known.get(rolloutId));
    if (command.command !== 'plan') await publish(answer);
    await say(
      `r/${rolloutId}/rsp/${command.requestId}`,
      {
        schema: 'edgefit/rollout-response/1',
        requestId: command.requestId,
        rolloutId,
        controllerId: ID,
        ts: new Date().toISOString(),
        ok: true,
        rollout: answer,
        error: null,
      },
      false,
    );
  };
  client.on('message', (topic, payload) => void obey(topic, payload));
  await client.subscribeAsync(`${ROOT}/r/+/cmd/+`, { qos: 1 });
  const status = (state: 'leading' | 'offline') => ({
    schema: 'edgefit/controller/1',
    controllerId: ID,
    state,
    epoch: 1,
    session: 1,
    since: new Date().toISOString(),
    ts: new Date().toISOString(),
    agent: '0.1.0',
    devices: 40,
  });
  await say(`c/${ID}/status`, status('leading'), true);
  return {
    commands,
    publish,
    stop: async () => {
      await say(`c/${ID}/status`, status('offline'), true);
      await client.endAsync();
    },
  };
}
