#!/usr/bin/env node
// @ts-check
// A whole fleet on this machine, in one folder: mosquitto with TLS and an access list, a signed model
// repository, a controller, and two devices. Needs a build, mosquitto and openssl. Ctrl-C stops it.
//   node scripts/quick-start.js [FOLDER]     the folder must be empty or new; default: a temporary one
//   node scripts/quick-start.js --check      brings the demo model to both devices, and ends
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { MAIN, programPath, Site } from './quick-start/site.js';

const DEVICES = /** @type {const} */ ([
  ['pi-a', ['site-a', 'hall-1']],
  ['pi-b', ['site-a', 'hall-2']],
]);
const MODEL = 'demo-shapes@1.0.0';
/** Both at once: a check need not be careful. */
const SPEC = ['--model', MODEL, '--soak', '1s', '--waves', '100%', '--canary-per-class', '0'];

/** @param {string} text */
const say = (text) => console.error(text);

/** What was asked for. Throws for bad usage. */
function readArguments() {
  const options = /** @type {const} */ ({ check: { type: 'boolean', default: false } });
  const { values, positionals } = parseArgs({ allowPositionals: true, options });
  const [name, ...more] = positionals;
  if (more.length > 0) throw new Error('name one folder');
  // They stand in files and commands that a shell reads.
  if (name !== undefined && !/^[\w./+-]+$/.test(resolve(name))) {
    throw new Error(`${resolve(name)}: name a folder of letters, digits and _ . + - alone`);
  }
  return { isCheck: values.check, name };
}

/** @param {unknown} error */
function complain(error) {
  const lines = String(error instanceof Error ? error.message : error)
    .trim()
    .split('\n');
  say(`quick-start: ${lines.at(-1) ?? ''}`);
}

let asked;
try {
  asked = readArguments();
} catch (error) {
  complain(error);
  process.exit(2);
}
const { isCheck, name } = asked;
const isTemporary = name === undefined;
const folder = isTemporary ? mkdtempSync(join(tmpdir(), 'edgefit-fleet-')) : resolve(name);

/** @param {Site} site */
async function start(site) {
  for (const program of ['mosquitto', 'openssl']) programPath(program);
  if (!existsSync(MAIN)) throw new Error('there is no build: npm run build');
  mkdirSync(folder, { recursive: true });
  if (readdirSync(folder).length > 0)
    throw new Error(`${folder} is not empty: name another folder`);
  say(`everything is in ${folder}`);
  await site.prepare();
  await site.startBroker();
  say('broker: TLS, certificates, access list');
  await site.startRepository();
  say('repository: demo-shapes 1.0.0 and 1.1.0, signed');
  await site.startController();
  say('controller: ctl-1');
  for (const [id, tags] of DEVICES) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other, as a person would
    await site.startDevice(id, tags);
    say(`device: ${id}`);
  }
  await site.untilOnline(DEVICES.length);
}

/** Brings the demo model to both devices. @param {Site} site */
async function check(site) {
  const create = ['fleet', 'rollout', 'create', '--id', 'first', '--approve', '--watch', ...SPEC];
  console.log((await site.agent(...create)).trimEnd());
  console.log((await site.agent('fleet', 'ls', '--once')).trimEnd());
}

const HELP = `
The fleet is up. In another terminal:

  . ${join(folder, 'operator.env')}
  agent fleet ls
  agent fleet rollout plan --model ${MODEL}
  agent fleet rollout create --model ${MODEL} --soak 10s --approve --watch
  agent fleet show pi-a
  agent fleet bench pi-a pi-b
  agent fleet watch
  agent fleet revoke pi-b --acl ${join(folder, 'broker', 'acl')} \\
    --crl ${join(folder, 'broker', 'crl.pem')} \\
    --certificate ${join(folder, 'devices', 'pi-b', 'cert.pem')} \\
    --ca-cert ${join(folder, 'broker', 'ca.pem')} --ca-key ${join(folder, 'broker', 'ca.key')} \\
    --reload 'kill -HUP $(cat ${join(folder, 'broker', 'pid')})'
  agent dashboard --mqtt "$EDGEFIT_MQTT_URL" --mqtt-ca "$EDGEFIT_MQTT_CA_FILE" \\
    --mqtt-cert "$EDGEFIT_MQTT_CERT_FILE" --mqtt-key "$EDGEFIT_MQTT_KEY_FILE"

Logs are in ${join(folder, 'log')}. Ctrl-C stops everything.`;

const site = new Site(folder);
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const stopped = Promise.race(SIGNALS.map((signal) => once(process, signal))).then(() => true);
// A second one (npm passes on what the terminal has sent already) must not leave the others running.
for (const signal of SIGNALS) process.on(signal, () => undefined);
// Whoever read what we say is gone: everything is stopped all the same.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
try {
  const work = start(site).then(() => (isCheck ? check(site) : undefined));
  const isStopped = await Promise.race([work.then(() => false), stopped]);
  if (!isStopped && !isCheck) {
    console.log(HELP);
    await stopped;
  }
} catch (error) {
  complain(error);
  process.exitCode = 1;
} finally {
  say('stopping');
  await site.stop();
  if (isTemporary && process.exitCode !== 1) rmSync(folder, { recursive: true, force: true });
}
// A child's pipe or a timer must not keep it.
process.exit();
