// @ts-check
// Writes the JSON Schema of everything that enters or leaves the program to docs/schemas/, from the
// zod schemas in agent/contracts/. Needs a build. `--check` writes nothing and fails when a file is
// missing, out of date, or belongs to no contract. Both fail when a contract is not in the table.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { z } from 'zod';

/**
 * `io`: a document that people write may leave out what has a default; one we write has everything.
 * @typedef {{ file: string, module: string, name: string, io: 'input' | 'output', title: string }} Contract
 */

/** @type {readonly Contract[]} */
const CONTRACTS = [
  {
    file: 'facts',
    module: 'facts',
    name: 'factsSchema',
    io: 'output',
    title: 'What a device is: agent probe --json',
  },
  {
    file: 'bench',
    module: 'bench',
    name: 'benchSchema',
    io: 'output',
    title: 'Precisions measured side by side, and the choice: agent bench --json',
  },
  {
    file: 'quantize',
    module: 'quantize',
    name: 'quantizeSchema',
    io: 'output',
    title: 'What became of each operation: agent quantize --json',
  },
  {
    file: 'recipe',
    module: 'recipe',
    name: 'recipeSchema',
    io: 'input',
    title: 'How to quantize, node by node: agent quantize --recipe',
  },
  {
    file: 'inspect',
    module: 'inspect',
    name: 'inspectSchema',
    io: 'output',
    title: 'What is in a model, and the error of each layer: agent inspect --json',
  },
  {
    file: 'ranges',
    module: 'ranges',
    name: 'rangesSchema',
    io: 'input',
    title: 'Calibrated ranges of every tensor: agent quantize --save-ranges, --ranges',
  },
  {
    file: 'decision',
    module: 'fit',
    name: 'decisionSchema',
    io: 'output',
    title: 'What was kept and why: decision.json of agent fit',
  },
  {
    file: 'doctor',
    module: 'doctor',
    name: 'doctorSchema',
    io: 'output',
    title: 'What the agent needs on this machine, and what is missing: agent doctor --json',
  },
  {
    file: 'enrol',
    module: 'results',
    name: 'enrolledSchema',
    io: 'output',
    title: 'The identity of a device: agent enrol --json',
  },
  {
    file: 'fleet-device',
    module: 'results',
    name: 'fleetDeviceSchema',
    io: 'output',
    title: 'What the broker keeps of a device: agent fleet show --json',
  },
  {
    file: 'revoked',
    module: 'results',
    name: 'revokedSchema',
    io: 'output',
    title: 'A device that was shut out: agent fleet revoke --json',
  },
  {
    file: 'replaced',
    module: 'results',
    name: 'replacedSchema',
    io: 'output',
    title: 'A device that another took the place of: agent fleet replace --json',
  },
  {
    file: 'dashboard-users',
    module: 'results',
    name: 'dashboardUsersSchema',
    io: 'output',
    title: 'Who may log in: agent dashboard user ls --json',
  },
  {
    file: 'birth',
    module: 'messages',
    name: 'birthSchema',
    io: 'output',
    title: 'What a device is and can run, over MQTT',
  },
  {
    file: 'unsent',
    module: 'messages',
    name: 'unsentSchema',
    io: 'output',
    title: 'A message kept on the device until its broker takes it',
  },
  {
    file: 'status',
    module: 'fleet-status',
    name: 'statusSchema',
    io: 'output',
    title: 'Whether a device is there: up/status',
  },
  {
    file: 'request',
    module: 'fleet-request',
    name: 'requestSchema',
    io: 'input',
    title: 'A short question to a device: dn/req',
  },
  {
    file: 'response',
    module: 'fleet-request',
    name: 'responseSchema',
    io: 'output',
    title: 'A device answers',
  },
  {
    file: 'twin',
    module: 'fleet-twin',
    name: 'twinSchema',
    io: 'output',
    title: 'What a device runs and which settings it has: up/twin',
  },
  {
    file: 'device-decision',
    module: 'device-decision',
    name: 'deviceDecisionSchema',
    io: 'output',
    title: 'Which precision a device has chosen of a model that runs there, and why: up/decision',
  },
  {
    file: 'desired-twin',
    module: 'fleet-twin',
    name: 'desiredTwinSchema',
    io: 'input',
    title: 'The signed part of the settings for a device: dn/twin',
  },
  {
    file: 'config-check',
    module: 'config-report',
    name: 'configCheckSchema',
    io: 'output',
    title: 'What is wrong with a configuration: agent config check --json',
  },
  {
    file: 'config-show',
    module: 'config-report',
    name: 'configShowSchema',
    io: 'output',
    title: 'What holds and where it comes from: agent config show --json',
  },
  {
    file: 'config',
    module: 'config',
    name: 'configSchema',
    io: 'input',
    title: 'Configuration of the daemon: /etc/edgefit/agent.yaml',
  },
  {
    file: 'dashboard-config',
    module: 'dashboard-config',
    name: 'dashboardConfigSchema',
    io: 'input',
    title: 'Configuration of agent dashboard --config',
  },
  {
    file: 'signed',
    module: 'signed',
    name: 'signedDocumentSchema',
    io: 'input',
    title: 'A signed document: what agent fleet sign makes and a device acts upon',
  },
  {
    file: 'key',
    module: 'key',
    name: 'keyFileSchema',
    io: 'output',
    title: 'A signing key, encrypted: agent model keygen',
  },
  {
    file: 'agent-package',
    module: 'agent-package',
    name: 'agentPackageSchema',
    io: 'input',
    title: 'What an archive of the agent is: agent-package.json',
  },
  {
    file: 'publish',
    module: 'publish',
    name: 'publishSchema',
    io: 'output',
    title: 'A release: agent model publish --json',
  },
  {
    file: 'verify',
    module: 'publish',
    name: 'verifySchema',
    io: 'output',
    title: 'What a repository offers: agent model verify --json',
  },
  {
    file: 'job',
    module: 'job',
    name: 'jobRecordSchema',
    io: 'output',
    title: 'How far a job is on a device, over MQTT',
  },
  {
    file: 'card',
    module: 'card',
    name: 'cardSchema',
    io: 'output',
    title: 'What a device is, in short: up/card',
  },
  {
    file: 'telemetry',
    module: 'telemetry',
    name: 'telemetrySchema',
    io: 'output',
    title: 'What a device measures of itself: up/tele',
  },
  {
    file: 'event',
    module: 'event',
    name: 'eventSchema',
    io: 'output',
    title: 'Something that happened on a device: up/event/{type}',
  },
  {
    file: 'rollout-spec',
    module: 'rollout',
    name: 'rolloutSpecSchema',
    io: 'input',
    title: 'A rollout as an operator asks for it: agent fleet rollout create',
  },
  {
    file: 'rollout-command',
    module: 'rollout',
    name: 'rolloutCommandSchema',
    io: 'input',
    title: 'The signed part of a command to the controller: r/{rollout}/cmd',
  },
  {
    file: 'rollout-response',
    module: 'rollout',
    name: 'rolloutResponseSchema',
    io: 'output',
    title: 'The controller answers a command',
  },
  {
    file: 'rollout',
    module: 'rollout',
    name: 'rolloutSchema',
    io: 'output',
    title: 'How far a rollout is: r/{rollout}/state',
  },
  {
    file: 'controller',
    module: 'rollout',
    name: 'controllerStatusSchema',
    io: 'output',
    title: 'Whether a controller is there and leads: c/{controller}/status',
  },
  {
    file: 'fleet',
    module: 'fleet-list',
    name: 'fleetListSchema',
    io: 'output',
    title: 'The devices of a fleet: agent fleet ls --json',
  },
  {
    file: 'fleet-sample',
    module: 'fleet-list',
    name: 'fleetSampleSchema',
    io: 'output',
    title: 'A fleet at one moment: agent fleet watch --json',
  },
  {
    file: 'revocation',
    module: 'revocation',
    name: 'revocationSchema',
    io: 'output',
    title: 'A device is shut out: dn/revoked',
  },
  {
    file: 'revoked-list',
    module: 'revocation',
    name: 'revokedListSchema',
    io: 'output',
    title: 'The devices that are shut out: what agent fleet revoke keeps',
  },
  {
    file: 'job-document',
    module: 'job',
    name: 'jobDocumentSchema',
    io: 'input',
    title: 'The signed part of what a device is told to do: dn/job',
  },
  {
    file: 'release',
    module: 'release',
    name: 'releaseSchema',
    io: 'output',
    title: 'A model that a device has fitted: release.json beside it',
  },
  {
    file: 'model',
    module: 'manifest',
    name: 'manifestSchema',
    io: 'input',
    title: 'Model package manifest: accepted wherever a model file is',
  },
  {
    file: 'recorded',
    module: 'recorded',
    name: 'recordedSetSchema',
    io: 'output',
    title: 'Inputs of an application that are kept on its device: set.json beside them',
  },
  {
    file: 'record-header',
    module: 'recorded',
    name: 'recordHeaderSchema',
    io: 'input',
    title: 'First line of a sample for calibration, over the local socket',
  },
  {
    file: 'calib-ls',
    module: 'recorded',
    name: 'calibListSchema',
    io: 'output',
    title: 'What is recorded on a device: agent calib ls --json',
  },
  {
    file: 'calib-record',
    module: 'recorded',
    name: 'calibRecordSchema',
    io: 'output',
    title: 'What became of samples that were handed over: agent calib record --json',
  },
  {
    file: 'calib-clear',
    module: 'recorded',
    name: 'calibClearSchema',
    io: 'output',
    title: 'What was removed: agent calib clear --json',
  },
  {
    file: 'pack',
    module: 'pack',
    name: 'packSchema',
    io: 'output',
    title: 'What was put into a model package: agent model pack --json',
  },
];

/** Beside the files it describes: hardware-profiles/schema.json, which test/hardware compares. */
const ELSEWHERE = ['profile.profileSchema'];

const root = dirname(import.meta.dirname);
const contracts = join(root, 'dist/agent/contracts');
const folder = join(root, 'docs/schemas');
const SUFFIX = '.schema.json';

/**
 * @param {string} module
 * @returns {Promise<Record<string, unknown>>}
 */
const exportsOf = (module) => import(join(contracts, `${module}.js`));

/** Documents by their own `schema` field, as `module.name`, that the table does not publish. */
async function unpublished() {
  const modules = readdirSync(contracts).filter((file) => file.endsWith('.js'));
  const found = modules.map(async (file) => {
    const module = file.slice(0, -'.js'.length);
    return Object.entries(await exportsOf(module))
      .filter(([, value]) => value instanceof z.ZodObject && value.shape['schema'] !== undefined)
      .map(([name]) => `${module}.${name}`);
  });
  const listed = [...CONTRACTS.map(({ module, name }) => `${module}.${name}`), ...ELSEWHERE];
  return (await Promise.all(found)).flat().filter((name) => !listed.includes(name));
}

/** @param {Contract} contract */
async function textOf({ file, module, name, io, title }) {
  const schema = (await exportsOf(module))[name];
  if (!(schema instanceof z.ZodType)) throw new Error(`contracts/${module} exports no ${name}`);
  const { $schema, ...rest } = z.toJSONSchema(schema, {
    io,
    // Fields may be added to what we write (docs/architecture.md); readers must not refuse them.
    override: ({ jsonSchema }) => {
      if (io === 'output' && jsonSchema.additionalProperties === false) {
        delete jsonSchema.additionalProperties;
      }
    },
  });
  const path = join(folder, `${file}${SUFFIX}`);
  const document = { $schema, $id: `urn:edgefit:schema:${file}:1`, title, ...rest };
  const style = await resolveConfig(path);
  return { path, text: await format(JSON.stringify(document), { ...style, filepath: path }) };
}

/** @param {string} path */
function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // Not published yet: differs from any text.
  }
}

/** @param {string[]} problems */
function fail(problems) {
  for (const problem of problems) console.error(`schemas: ${problem}`);
  if (problems.length > 0) process.exitCode = 1;
}

mkdirSync(folder, { recursive: true });
const wanted = await Promise.all(CONTRACTS.map(textOf));
const stale = wanted.filter(({ path, text }) => read(path) !== text).map(({ path }) => path);
const orphans = readdirSync(folder)
  .filter((name) => name.endsWith(SUFFIX))
  .map((name) => join(folder, name))
  .filter((path) => !wanted.some((one) => one.path === path));
const relativeTo = (/** @type {string} */ path) => relative(root, path);

fail((await unpublished()).map((name) => `${name} is not in scripts/publish-schemas.js: add it`));
if (process.argv.includes('--check')) {
  fail(stale.map((path) => `${relativeTo(path)} is out of date: run npm run schemas`));
  fail(orphans.map((path) => `${relativeTo(path)} belongs to no contract: run npm run schemas`));
} else {
  for (const { path, text } of wanted) if (stale.includes(path)) writeFileSync(path, text);
  for (const path of orphans) rmSync(path);
  console.log(`${wanted.length} schemas in docs/schemas, ${stale.length} changed`);
}

// The same contracts, topic by topic.
await import('./publish-asyncapi.js');
