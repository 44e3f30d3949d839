// @ts-check
// A whole fleet in one folder: certificates, broker, repository, controller, devices.
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { makeCa, makeCertificate, signRequest } from './certificates.js';
import { freePort } from '../free-port.js';
import { finish, Processes, until, untilListening } from './processes.js';

const ROOT = dirname(dirname(import.meta.dirname));
export const MAIN = join(ROOT, 'dist/agent/cli/main.js');
const SECRET = 0o600;

/** The full path of a program. Throws with what to install. @param {string} name */
export function programPath(name) {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  const path = folders.map((folder) => join(folder, name)).find((one) => existsSync(one));
  if (path === undefined) throw new Error(`${name} is not installed: apt install ${name}`);
  return path;
}

export class Site {
  #processes = new Processes();
  #folder;
  #broker = 0;
  #repository = 0;
  /** @type {import('./certificates.js').Pair} */
  #ca = { cert: '', key: '' };

  /** @param {string} folder */
  constructor(folder) {
    this.#folder = folder;
  }

  /** @param {...string} parts */
  path(...parts) {
    return join(this.#folder, ...parts);
  }

  /**
   * The agent's own command line, as the operator of this site. Resolves to what it printed.
   * @param {...string} args
   */
  async agent(...args) {
    const { stdout } = await finish(process.execPath, [MAIN, ...args], this.operatorEnv());
    return stdout;
  }

  /** What an operator has in the environment; the same is in operator.env. */
  operatorEnv() {
    return { ...process.env, ...this.#operatorVariables() };
  }

  #operatorVariables() {
    return {
      EDGEFIT_MQTT_URL: `mqtts://localhost:${this.#broker}`,
      EDGEFIT_MQTT_CA_FILE: this.path('broker', 'ca.pem'),
      EDGEFIT_MQTT_CERT_FILE: this.path('operator', 'ann.pem'),
      EDGEFIT_MQTT_KEY_FILE: this.path('operator', 'ann.key'),
      EDGEFIT_KEY_FILE: this.path('keys', 'ops.key'),
      EDGEFIT_PASSPHRASE: readFileSync(this.path('keys', 'passphrase'), 'utf8'),
      EDGEFIT_STATE_DIR: this.path('operator', 'state'),
    };
  }

  /** Folders, keys, certificates and ports. */
  async prepare() {
    for (const name of ['broker/data', 'keys', 'operator', 'controller', 'devices', 'log']) {
      mkdirSync(this.path(name), { recursive: true, mode: 0o700 });
    }
    this.#broker = await freePort();
    this.#repository = await freePort();
    writeFileSync(this.path('keys', 'passphrase'), randomBytes(16).toString('hex'), {
      mode: SECRET,
    });
    this.#ca = await makeCa(this.path('broker'));
    /** @type {typeof import('../../agent/fleet/access/crl.ts')} */
    const { changeCrl } = await import(join(ROOT, 'dist/agent/fleet/access/crl.js'));
    const list = { crl: this.path('broker', 'crl.pem'), caCert: this.#ca.cert };
    await changeCrl({ ...list, caKey: this.#ca.key }, {}, new Date());
    await makeCertificate(this.#ca, this.path('broker'), 'broker', 'DNS:localhost,IP:127.0.0.1');
    await makeCertificate(this.#ca, this.path('operator'), 'ann');
    await makeCertificate(this.#ca, this.path('operator'), 'wall');
    await makeCertificate(this.#ca, this.path('controller'), 'ctl-1');
    const variables = Object.entries(this.#operatorVariables());
    const text = variables.map(([name, value]) => `export ${name}='${value}'\n`).join('');
    // Where edgefit is built but not installed.
    const main = MAIN.replaceAll("'", `'\\''`);
    const command = `command -v agent > /dev/null || agent() { node '${main}' "$@"; }\n`;
    writeFileSync(this.path('operator.env'), text + command, { mode: SECRET });
  }

  /** mosquitto with TLS, certificates for everybody, and the access list. */
  async startBroker() {
    const roles = ['--operators', 'ann', '--dashboards', 'wall', '--controllers', 'ctl-1'];
    const acl = this.path('broker', 'acl');
    writeFileSync(acl, await this.agent('fleet', 'acl', ...roles));
    chmodSync(acl, 0o700);
    const where = ['--folder', this.path('broker'), '--data', this.path('broker', 'data')];
    const config = await this.agent(
      'fleet',
      'acl',
      '--config',
      '--crl',
      ...where,
      '--port',
      String(this.#broker),
    );
    const file = this.path('broker', 'mosquitto.conf');
    // Started by root it would become another user, who cannot read these files.
    writeFileSync(file, `${config}user ${userInfo().username}\n`);
    const { pid } = await this.#start('mosquitto', [programPath('mosquitto'), '-c', file]);
    writeFileSync(this.path('broker', 'pid'), String(pid));
    await untilListening(this.#broker, 'the broker');
  }

  /** A signed repository with the demo model, and its server. */
  async startRepository() {
    for (const name of ['owner', 'online', 'ops', 'controller']) {
      // oxlint-disable-next-line no-await-in-loop -- each takes a core for a moment
      await this.agent('model', 'keygen', this.path('keys', `${name}.key`));
    }
    const key = (/** @type {string} */ name) => this.path('keys', `${name}.key`);
    const keys = ['--key', key('owner'), '--key', key('online')];
    const owner = ['--root', `${key('owner')}.pub`, '--targets', `${key('owner')}.pub`];
    const signers = ['--operator', `${key('ops')}.pub`, '--operator', `${key('controller')}.pub`];
    const online = ['--online', `${key('online')}.pub`];
    const repository = this.path('repository');
    await this.agent('model', 'init', repository, ...owner, ...online, ...signers, ...keys);
    for (const version of ['1.0.0', '1.1.0']) {
      const folder = this.path('packages', `demo-shapes-${version}`);
      const from = join(ROOT, 'demo/manifest.json');
      /* oxlint-disable no-await-in-loop -- the releases are counted */
      await this.agent('model', 'pack', from, '-o', folder, '--package-version', version);
      await this.agent('model', 'publish', folder, '--repository', repository, ...keys);
      /* oxlint-enable no-await-in-loop */
    }
    const serve = ['model', 'serve', repository, '--port', String(this.#repository)];
    await this.#start('repository', [process.execPath, MAIN, ...serve]);
    await untilListening(this.#repository, 'the repository');
  }

  async startController() {
    const { cert, key } = this.#pair('controller', 'ctl-1');
    const broker = ['--mqtt', `mqtts://localhost:${this.#broker}`, '--mqtt-ca', this.#ca.cert];
    const identity = ['--mqtt-cert', cert, '--mqtt-key', key, '--id', 'ctl-1'];
    const trust = ['--repository', this.#repositoryUrl(), '--root', this.#root()];
    const own = [
      '--key',
      this.path('keys', 'controller.key'),
      '--state',
      this.path('controller', 'state'),
    ];
    const args = ['fleet', 'controller', ...broker, ...identity, ...trust, ...own];
    await this.#start('controller', [process.execPath, MAIN, ...args], this.operatorEnv());
  }

  /**
   * Enrols a device as a person would, and starts its daemon.
   * @param {string} id
   * @param {readonly string[]} tags
   */
  async startDevice(id, tags) {
    const state = this.path('devices', id, 'state');
    const config = this.path('devices', id, 'agent.yaml');
    mkdirSync(dirname(config), { recursive: true });
    const text = [
      `deviceId: ${id}`,
      `tags: [${tags.join(', ')}]`,
      `stateDir: ${state}`,
      'mqtt:',
      `  url: mqtts://localhost:${this.#broker}`,
      'models:',
      `  repository: ${this.#repositoryUrl()}`,
      '',
    ].join('\n');
    writeFileSync(config, text);
    // The variables of the operator would override the configuration.
    const env = { PATH: process.env['PATH'], HOME: process.env['HOME'] };
    const enrol = [MAIN, 'enrol', '--config', config];
    const trust = ['--root', this.#root(), '--ca', this.#ca.cert];
    await finish(process.execPath, [...enrol, ...trust], env);
    const cert = this.path('devices', id, 'cert.pem');
    await signRequest(this.#ca, join(state, 'identity', 'request.pem'), cert, `DNS:${id}`);
    await finish(process.execPath, [...enrol, '--cert', cert], env);
    await this.#start(id, [process.execPath, MAIN, 'run', '--config', config], env);
  }

  /** Waits until everybody is there. @param {number} count */
  async untilOnline(count) {
    await until(`${count} devices`, async () => {
      const listed = await this.agent('fleet', 'ls', '--json', '--where', 'state=online');
      return devicesIn(JSON.parse(listed)) === count;
    });
  }

  async stop() {
    await this.#processes.stop();
  }

  /** @param {string} folder @param {string} name */
  #pair(folder, name) {
    return { cert: this.path(folder, `${name}.pem`), key: this.path(folder, `${name}.key`) };
  }

  #root() {
    return this.path('repository', 'metadata', '1.root.json');
  }

  #repositoryUrl() {
    return `http://127.0.0.1:${this.#repository}`;
  }

  /**
   * @param {string} name
   * @param {readonly string[]} command
   * @param {Record<string, string | undefined>} [env]
   */
  async #start(name, command, env) {
    return this.#processes.start(name, command, this.path('log', `${name}.log`), env);
  }
}

/** How many devices a list holds. @param {{ devices: readonly unknown[] }} list */
function devicesIn({ devices }) {
  return devices.length;
}
