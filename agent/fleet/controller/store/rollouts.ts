import { z } from 'zod';
import { executionSchema, type Execution } from '../../rollouts/execution.ts';
import { rolloutStateSchema, type RolloutState } from '../../rollouts/state.ts';
import { StoreError } from '../error.ts';
import type { Entry, Store } from './store.ts';

/** A rollout with everything that belongs to it. */
export interface Kept {
  readonly state: RolloutState;
  readonly executions: ReadonlyMap<string, Execution>;
}

/** A job document that was signed: kept before it is published, until it is taken away. */
export const documentSchema = z.object({
  jobId: z.string(),
  deviceId: z.string(),
  rolloutId: z.string(),
  epoch: z.number(),
  counter: z.number(),
  text: z.string(),
  /** It was issued again because the device took the first one for a replay. */
  isSecond: z.boolean().default(false),
});

export type KeptDocument = z.infer<typeof documentSchema>;

/** Keys: ids have no slash, so a prefix never catches another rollout. */
const stateKey = (rolloutId: string): string => `rollout/${rolloutId}`;
const executionKey = (rolloutId: string, deviceId: string): string =>
  `execution/${rolloutId}/${deviceId}`;
const documentKey = (rolloutId: string, jobId: string): string => `document/${rolloutId}/${jobId}`;
/** Of a rollout that is kept no longer: its id is not used again, or devices would know its jobs. */
const pastKey = (rolloutId: string): string => `past/${rolloutId}`;
const counterKey = (deviceId: string): string => `counter/${deviceId}`;

export const entries = {
  state: (rolloutId: string, text: string): Entry => [stateKey(rolloutId), text],
  execution: (rolloutId: string, execution: Execution): Entry => [
    executionKey(rolloutId, execution.deviceId),
    JSON.stringify(execution),
  ],
  document: (document: KeptDocument): Entry => [
    documentKey(document.rolloutId, document.jobId),
    JSON.stringify(document),
  ],
  counter: (deviceId: string, counter: number): Entry => [counterKey(deviceId), String(counter)],
  documentKey,
  refused: (rolloutId: string, text: string): Entry => [`refused/${rolloutId}`, text],
};

/** Whether there was a rollout of this id that is kept no longer. Throws StoreError. */
export async function isPast(store: Store, rolloutId: string): Promise<boolean> {
  return (await store.get(pastKey(rolloutId))) !== null;
}

/**
 * Forgets a rollout but for its id; a store that keeps the past has its last state under `past/`, and
 * its executions where they were. Throws StoreError.
 */
export async function forgetRollout(
  store: Store,
  epoch: number,
  state: RolloutState,
): Promise<void> {
  const { rolloutId, endedAt } = state.record;
  const remove = [stateKey(rolloutId)];
  if (!store.keepsPast) {
    for await (const [key] of store.scan(`execution/${rolloutId}/`)) remove.push(key);
  }
  const past = JSON.stringify(store.keepsPast ? state : { endedAt });
  await store.write(epoch, { put: [[pastKey(rolloutId), past]], remove });
}

/** Ids and states of all rollouts, finished ones too. Throws StoreError. */
export async function readStates(store: Store): Promise<readonly RolloutState[]> {
  const found: RolloutState[] = [];
  for await (const [key, value] of store.scan('rollout/')) {
    found.push(parse(rolloutStateSchema, key, value));
  }
  return found;
}

/** The executions of a rollout. Throws StoreError. */
export async function readExecutions(
  store: Store,
  rolloutId: string,
): Promise<Map<string, Execution>> {
  const found = new Map<string, Execution>();
  for await (const [key, value] of store.scan(`execution/${rolloutId}/`)) {
    const execution = parse(executionSchema, key, value);
    found.set(execution.deviceId, execution);
  }
  return found;
}

/** The job documents of a rollout that are at the broker or on their way there. */
export async function readDocuments(
  store: Store,
  rolloutId: string,
): Promise<Map<string, KeptDocument>> {
  const found = new Map<string, KeptDocument>();
  for await (const [key, value] of store.scan(`document/${rolloutId}/`)) {
    const document = parse(documentSchema, key, value);
    found.set(document.jobId, document);
  }
  return found;
}

/** The highest counter of a job document of each device that this fleet's controllers have signed. */
export async function readCounters(store: Store): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for await (const [key, value] of store.scan('counter/')) {
    found.set(key.slice('counter/'.length), Number(value));
  }
  return found;
}

function parse<T>(schema: z.ZodType<T>, key: string, value: string): T {
  try {
    return schema.parse(JSON.parse(value));
  } catch (cause) {
    throw new StoreError('DAMAGED', `the entry ${key} of the store cannot be read`, cause);
  }
}
