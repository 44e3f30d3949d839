// @ts-check
// Writes docs/asyncapi.json: every topic of the fleet with its messages, as AsyncAPI 3.0, from the zod
// schemas in agent/contracts/ and the patterns in agent/fleet/protocol/topics.ts. Needs a build.
// `--check` writes nothing and fails when the file is missing or out of date.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { z } from 'zod';

/**
 * `send`: what an operator's program publishes, `receive`: what it subscribes to. A signed message holds
 * `schema` in its member `signed`.
 * @typedef {{
 *   action: 'send' | 'receive',
 *   summary: string,
 *   schema: readonly [module: string, name: string] | null,
 *   signed?: true,
 *   retain?: boolean,
 *   qos?: 0 | 1,
 *   reply?: string,
 * }} Channel
 */

/** @type {Readonly<Record<string, Channel>>} */
const CHANNELS = {
  status: {
    action: 'receive',
    summary: 'Whether the device is there; also its will. Comes again every 60 s.',
    schema: ['fleet-status', 'statusSchema'],
    retain: true,
  },
  birth: {
    action: 'receive',
    summary: 'What the device is and what it can run.',
    schema: ['messages', 'birthSchema'],
    retain: true,
  },
  card: {
    action: 'receive',
    summary: 'The birth in short, in one of 64 shards: how a fleet is read piece by piece.',
    schema: ['card', 'cardSchema'],
    retain: true,
  },
  reportedTwin: {
    action: 'receive',
    summary: 'What the device runs and which settings it has.',
    schema: ['fleet-twin', 'twinSchema'],
    retain: true,
  },
  decision: {
    action: 'receive',
    summary: 'Which precision of a model the device has chosen, and why. Empty when none runs.',
    schema: ['device-decision', 'deviceDecisionSchema'],
    retain: true,
  },
  desiredTwin: {
    action: 'send',
    summary: 'Settings for the device. An empty message takes them away.',
    schema: ['fleet-twin', 'desiredTwinSchema'],
    signed: true,
    retain: true,
  },
  job: {
    action: 'send',
    summary: 'What the device is to do. An empty message takes the job back, or archives its end.',
    schema: ['job', 'jobDocumentSchema'],
    signed: true,
    retain: true,
  },
  execution: {
    action: 'receive',
    summary: 'How far the job is on the device.',
    schema: ['job', 'jobRecordSchema'],
    retain: true,
  },
  bench: {
    action: 'receive',
    summary: 'A whole benchmark report.',
    schema: ['bench', 'benchSchema'],
  },
  telemetry: {
    action: 'receive',
    summary: 'What the device measures of itself: what has changed. At QoS 1 when it comes late.',
    schema: ['telemetry', 'telemetrySchema'],
    qos: 0,
  },
  event: { action: 'receive', summary: 'Something that happened on the device.', schema: null },
  request: {
    action: 'send',
    summary: 'A short question (ping, health, logtail, rebirth), answered at once or not at all.',
    schema: ['fleet-request', 'requestSchema'],
    reply: 'response',
  },
  response: {
    action: 'receive',
    summary: 'The device answers.',
    schema: ['fleet-request', 'responseSchema'],
  },
  revocation: {
    action: 'send',
    summary: 'The device is shut out. An empty message lets it in again.',
    schema: ['revocation', 'revocationSchema'],
    retain: true,
  },
  controllerStatus: {
    action: 'receive',
    summary: 'Whether the controller is there and leads; also its will.',
    schema: ['rollout', 'controllerStatusSchema'],
    retain: true,
  },
  announcement: {
    action: 'send',
    summary:
      'New signed metadata is there; the payload is empty or says which. Groups: all, and tags.',
    schema: null,
    retain: true,
  },
  rollout: {
    action: 'receive',
    summary: 'How far the rollout is.',
    schema: ['rollout', 'rolloutSchema'],
    retain: true,
  },
  rolloutCommand: {
    action: 'send',
    summary: 'A command to the controller that leads.',
    schema: ['rollout', 'rolloutCommandSchema'],
    signed: true,
    reply: 'rolloutResponse',
  },
  rolloutResponse: {
    action: 'receive',
    summary: 'The controller answers a command.',
    schema: ['rollout', 'rolloutResponseSchema'],
  },
};

/** What stands in braces. @type {Readonly<Record<string, string>>} */
const PARAMETERS = {
  device: 'id of a device',
  shard: 'two hexadecimal digits below 40, from a hash of the id of the device',
  job: 'id of a job',
  model: 'name of a model',
  bench: 'id of a benchmark',
  stream: 'host, infer or agent',
  event: 'kind of event',
  method: 'ping, health, logtail or rebirth',
  controller: 'id of a controller, or of an operator who asks',
  request: 'id of a request, new for each',
  group: 'all, or a tag',
  rollout: 'id of a rollout',
};

const BINDING = { bindingVersion: '0.2.0' };
const QOS = 1;
const root = dirname(import.meta.dirname);
const dist = join(root, 'dist/agent');
const path = join(root, 'docs/asyncapi.json');

/**
 * @param {string} module
 * @returns {Promise<Record<string, unknown>>}
 */
const load = (module) => import(join(dist, module));

/** @param {readonly [string, string]} source @param {'send' | 'receive'} action */
async function schemaOf([module, name], action) {
  const schema = (await load(`contracts/${module}.js`))[name];
  if (!(schema instanceof z.ZodType)) throw new Error(`contracts/${module} exports no ${name}`);
  // The dialect that AsyncAPI itself takes; what people send may leave out what has a default.
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, {
    io: action === 'send' ? 'input' : 'output',
    target: 'draft-7',
    override: ({ jsonSchema }) => {
      if (action === 'receive' && jsonSchema.additionalProperties === false) {
        delete jsonSchema.additionalProperties;
      }
    },
  });
  return rest;
}

/** @param {string} name */
const ref = (name) => ({ $ref: `#/components/schemas/${name}` });

/** @param {string} kind @param {Channel} channel */
function payloadOf(kind, { schema, signed }) {
  if (schema === null) return { description: 'any JSON, or nothing' };
  return signed ? { allOf: [ref('signed'), { properties: { signed: ref(kind) } }] } : ref(kind);
}

/** @param {string} address */
function parametersOf(address) {
  const names = [...address.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  return Object.fromEntries(
    names.map((name) => {
      const description = PARAMETERS[name];
      if (description === undefined) throw new Error(`{${name}} is not in ${import.meta.filename}`);
      return [name, { description }];
    }),
  );
}

/** @param {string} kind @param {Channel} channel */
function operationOf(kind, { action, summary, retain = false, qos = QOS, reply }) {
  const channel = { $ref: `#/channels/${kind}` };
  return {
    action,
    channel,
    summary,
    messages: [{ $ref: `#/channels/${kind}/messages/${kind}` }],
    bindings: { mqtt: { qos, ...(action === 'send' ? { retain } : {}), ...BINDING } },
    ...(reply === undefined ? {} : { reply: { channel: { $ref: `#/channels/${reply}` } } }),
  };
}

async function makeDocument() {
  const topics = await load('fleet/protocol/topics.js');
  const patterns = z.record(z.string(), z.string()).parse(topics['TOPIC_PATTERNS']);
  const missing = Object.keys(patterns).filter((kind) => CHANNELS[kind] === undefined);
  const gone = Object.keys(CHANNELS).filter((kind) => patterns[kind] === undefined);
  if (missing.length + gone.length > 0) {
    throw new Error(`CHANNELS and topics.ts differ: ${[...missing, ...gone].join(', ')}`);
  }
  /** @type {Record<string, unknown>} */
  const schemas = { signed: await schemaOf(['signed', 'signedDocumentSchema'], 'send') };
  /** @type {Record<string, unknown>} */
  const channels = {};
  /** @type {Record<string, unknown>} */
  const operations = {};
  for (const [kind, channel] of Object.entries(CHANNELS)) {
    if (channel.schema !== null) schemas[kind] = await schemaOf(channel.schema, channel.action);
    const address = `${String(topics['TOPIC_ROOT'])}/${patterns[kind]}`;
    const { summary, action } = channel;
    channels[kind] = {
      address,
      description: `${summary}${channel.retain ? ' Retained.' : ''}`,
      parameters: parametersOf(address),
      messages: {
        [kind]: {
          name: kind,
          contentType: 'application/json',
          payload: payloadOf(kind, channel),
          bindings: { mqtt: { payloadFormatIndicator: 1, ...BINDING } },
        },
      },
    };
    operations[`${action}${kind[0]?.toUpperCase()}${kind.slice(1)}`] = operationOf(kind, channel);
  }
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'edgefit fleet',
      version: '1.0.0',
      description:
        'Devices that fit models to themselves, and their operators, over MQTT (3.1.1 or 5). Operations are those of an operator: he receives what devices and controllers send. Nothing essential is in properties of MQTT 5 alone.',
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: 'application/json',
    servers: {
      broker: {
        host: 'broker.example:8883',
        protocol: 'secure-mqtt',
        protocolVersion: '5.0',
        security: [{ $ref: '#/components/securitySchemes/certificate' }],
      },
    },
    channels,
    operations,
    components: {
      schemas,
      securitySchemes: { certificate: { type: 'X509' }, password: { type: 'userPassword' } },
    },
  };
}

function readCurrent() {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // Not published yet: differs from any text.
  }
}

const document = await makeDocument();
const style = await resolveConfig(path);
const text = await format(JSON.stringify(document), { ...style, filepath: path });
const isStale = readCurrent() !== text;
if (!process.argv.includes('--check')) {
  if (isStale) writeFileSync(path, text);
  const count = Object.keys(document.channels).length;
  console.log(`${count} channels in docs/asyncapi.json${isStale ? ', changed' : ''}`);
} else if (isStale) {
  console.error('asyncapi: docs/asyncapi.json is out of date: run npm run schemas');
  process.exitCode = 1;
}
