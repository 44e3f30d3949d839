import { createHash } from 'node:crypto';
import { ID_PATTERN, ID_RULE, telemetryStreams } from '../../contracts/ids.ts';
import { AgentError } from '../../util/errors.ts';

/**
 * Every topic of the fleet, under the root `edgefit/v1`. A version in the root, a fixed depth (one
 * wildcard finds every device) and a direction segment: devices write `up`, operators write `dn`,
 * so two ACL lines are enough (`pattern write edgefit/v1/d/%u/up/#` and `pattern read
 * edgefit/v1/d/%u/dn/#`) and nobody hears an echo of himself. Groups are not in a device's path:
 * moving a device to another group must not change its topics.
 */
export const TOPIC_ROOT = 'edgefit/v1';

/** Pattern below the root for every kind of topic; `{name}` stands for one id. */
export const TOPIC_PATTERNS = {
  status: 'd/{device}/up/status',
  birth: 'd/{device}/up/birth',
  // Read shard by shard (cardShard): one subscription to all would overflow a broker's queue.
  card: 'd/{device}/up/card/{shard}',
  reportedTwin: 'd/{device}/up/twin',
  // For as long as the model runs there; records of jobs are taken away when they have ended.
  decision: 'd/{device}/up/decision/{model}',
  desiredTwin: 'd/{device}/dn/twin',
  job: 'd/{device}/dn/job/{job}',
  execution: 'd/{device}/up/job/{job}',
  bench: 'd/{device}/up/bench/{bench}',
  telemetry: 'd/{device}/up/tele/{stream}',
  event: 'd/{device}/up/event/{event}',
  request: 'd/{device}/dn/req/{method}',
  // Kept while the device is shut out: an ACL lets operators alone write here.
  revocation: 'd/{device}/dn/revoked',
  controllerStatus: 'c/{controller}/status',
  // The device's id comes first, so that an ACL lets a device answer in its own name only.
  response: 'c/{controller}/rsp/{device}/{request}',
  announcement: 'g/{group}/dn/announce',
  rollout: 'r/{rollout}/state',
  rolloutCommand: 'r/{rollout}/cmd/{request}',
  rolloutResponse: 'r/{rollout}/rsp/{request}',
} as const;

export type TopicKind = keyof typeof TOPIC_PATTERNS;

type NamesIn<Pattern extends string> = Pattern extends `${string}{${infer Name}}${infer Rest}`
  ? Name | NamesIn<Rest>
  : never;

/** The ids a topic of this kind is made of, e.g. `{ device, bench }`. */
export type TopicIds<Kind extends TopicKind> = Readonly<
  Record<NamesIn<(typeof TOPIC_PATTERNS)[Kind]>, string>
>;

export interface ParsedTopic {
  readonly kind: TopicKind;
  readonly ids: Readonly<Record<string, string>>;
}

const PLACEHOLDER = /^\{(\w+)\}$/;

/** An id that cannot stand in a topic (wildcards, slashes, spaces, empty or too long). */
export class TopicError extends AgentError {
  override readonly name = 'TopicError';

  constructor(message: string) {
    super('BAD_ID', message);
  }
}

/** Whether a text can name a device, job, benchmark, group, ...: `[A-Za-z0-9._-]{1,64}`. */
export function isId(text: string): boolean {
  return ID_PATTERN.test(text);
}

function isValidFor(name: string, id: string): boolean {
  return name === 'stream' ? telemetryStreams.some((stream) => stream === id) : isId(id);
}

function checkId(name: string, id: string | undefined): string {
  if (id !== undefined && isValidFor(name, id)) return id;
  const allowed = name === 'stream' ? telemetryStreams.join(', ') : ID_RULE;
  throw new TopicError(`${JSON.stringify(id ?? '')} is not a valid ${name} id: use ${allowed}`);
}

function fill(kind: TopicKind, idFor: (name: string) => string): string {
  const segments = TOPIC_PATTERNS[kind].split('/').map((segment) => {
    const name = PLACEHOLDER.exec(segment)?.[1];
    return name === undefined ? segment : idFor(name);
  });
  return [TOPIC_ROOT, ...segments].join('/');
}

/** The topic of a kind, e.g. `topicFor('birth', { device: 'pi-7' })`. Throws TopicError on a bad id. */
export function topicFor<Kind extends TopicKind>(kind: Kind, ids: TopicIds<Kind>): string {
  const given: Readonly<Record<string, string>> = ids;
  return fill(kind, (name) => checkId(name, given[name]));
}

/** A subscription filter: like `topicFor`, with `+` for every id that is not given. */
export function topicFilter<Kind extends TopicKind>(
  kind: Kind,
  ids: Partial<TopicIds<Kind>> = {},
): string {
  const given: Readonly<Record<string, string | undefined>> = ids;
  return fill(kind, (name) => (given[name] === undefined ? '+' : checkId(name, given[name])));
}

/** Shards of a fleet: a fleet of 10,000 has about 160 cards in each. */
export const CARD_SHARDS = 64;

/** The shard of a device's card: two hexadecimal digits below CARD_SHARDS, from a hash of its id. */
export function cardShard(device: string): string {
  const [byte = 0] = createHash('sha256').update(device).digest();
  return (byte % CARD_SHARDS).toString(16).padStart(2, '0');
}

/** The subscription of a device: everything that is meant for it. Throws TopicError on a bad id. */
export function downFilter(device: string): string {
  return `${TOPIC_ROOT}/d/${checkId('device', device)}/dn/#`;
}

function matchPattern(pattern: string, segments: readonly string[]) {
  const expected = pattern.split('/');
  if (expected.length !== segments.length) return null;
  const ids: Record<string, string> = {};
  for (const [index, segment] of segments.entries()) {
    const name = PLACEHOLDER.exec(expected[index] ?? '')?.[1];
    if (name === undefined) {
      if (segment !== expected[index]) return null;
    } else {
      if (!isValidFor(name, segment)) return null;
      ids[name] = segment;
    }
  }
  return ids;
}

const KINDS = Object.keys(TOPIC_PATTERNS).filter(
  (kind): kind is TopicKind => kind in TOPIC_PATTERNS,
);

/** What a topic is about, or null for a topic that is not of this protocol (or has a bad id). */
export function parseTopic(topic: string): ParsedTopic | null {
  if (!topic.startsWith(`${TOPIC_ROOT}/`)) return null;
  const segments = topic.slice(TOPIC_ROOT.length + 1).split('/');
  for (const kind of KINDS) {
    const ids = matchPattern(TOPIC_PATTERNS[kind], segments);
    if (ids !== null) return { kind, ids };
  }
  return null;
}
