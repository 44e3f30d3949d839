// @ts-check
// What may be said on the command line.
import { parseArgs } from 'node:util';

/** Bad usage: one line, exit code 2. */
export class UsageError extends Error {}

/** @typedef {ReturnType<typeof readOptions>} Options */

/** @param {readonly string[]} args */
export function readOptions(args) {
  const { values, positionals } = parse(args);
  const [count] = positionals;
  return {
    devices: whole('--devices', values.devices ?? count ?? '1000', 1, 100_000),
    failPercent: percent('--fail', values.fail),
    seed: values.seed,
    json: values.json,
    limits: oneOf(
      '--broker-limits',
      values['broker-limits'],
      /** @type {const} */ (['default', 'raised']),
    ),
    waves: values.waves.split(',').map((text) => percent('--waves', text)),
    canaryPerClass: whole('--canary-per-class', values['canary-per-class'], 0, 100),
    soakSeconds: seconds('--soak', values.soak),
    maxFailed: failureLimit(values['max-failed']),
    ratePerMinute: whole('--rate', values.rate, 1, 60_000),
    disconnectPercent: percent('--disconnect', values.disconnect),
    restartPercent: percent('--restart', values.restart),
    workSeconds: seconds('--work', values.work),
    timeoutSeconds: seconds('--timeout', values.timeout),
    restartController: values['restart-controller'],
    folder: values.folder,
    keep: values.keep,
    serve: values.serve,
    mqttPort:
      values['mqtt-port'] === undefined
        ? undefined
        : whole('--mqtt-port', values['mqtt-port'], 1, 65_535),
    telemetrySeconds: seconds('--telemetry', values.telemetry),
  };
}

/** @param {readonly string[]} args */
function parse(args) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        devices: { type: 'string' },
        fail: { type: 'string', default: '0%' },
        seed: { type: 'string', default: '1' },
        json: { type: 'boolean', default: false },
        'broker-limits': { type: 'string', default: 'default' },
        waves: { type: 'string', default: '1%,10%,50%,100%' },
        'canary-per-class': { type: 'string', default: '2' },
        soak: { type: 'string', default: '0s' },
        'max-failed': { type: 'string', default: '5%/10' },
        rate: { type: 'string', default: '60000' },
        disconnect: { type: 'string', default: '2%' },
        restart: { type: 'string', default: '2%' },
        work: { type: 'string', default: '1s' },
        timeout: { type: 'string', default: '1800s' },
        'restart-controller': { type: 'boolean', default: false },
        folder: { type: 'string' },
        keep: { type: 'boolean', default: false },
        serve: { type: 'boolean', default: false },
        'mqtt-port': { type: 'string' },
        telemetry: { type: 'string', default: '10s' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** @param {string} name @param {string} text @param {number} low @param {number} high */
function whole(name, text, low, high) {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= low && value <= high) return value;
  throw new UsageError(`${name} ${text}: use a whole number from ${low} to ${high}`);
}

/** @param {string} name @param {string} text */
function percent(name, text) {
  const value = Number(text.replace(/%$/, ''));
  if (/^\d+(\.\d+)?%?$/.test(text) && value <= 100) return value;
  throw new UsageError(`${name} ${text}: use a share such as 2%`);
}

/** @param {string} name @param {string} text */
function seconds(name, text) {
  const [, number = '', unit = 's'] = /^(\d+(?:\.\d+)?)(s|m|h)?$/.exec(text) ?? [];
  if (number !== '') return Number(number) * (unit === 'h' ? 3600 : unit === 'm' ? 60 : 1);
  throw new UsageError(`${name} ${text}: use a time such as 30s, 5m or 1h`);
}

/** @template {string} T @param {string} name @param {string} text @param {readonly T[]} known @returns {T} */
function oneOf(name, text, known) {
  const found = known.find((one) => one === text);
  if (found !== undefined) return found;
  throw new UsageError(`${name} ${text}: use ${known.join(' or ')}`);
}

/** @param {string} text */
function failureLimit(text) {
  const [, share = '', count = ''] = /^(\d+(?:\.\d+)?)%\/(\d+)$/.exec(text) ?? [];
  if (share !== '' && Number(count) >= 1) return { percent: Number(share), count: Number(count) };
  throw new UsageError(`--max-failed ${text}: use a share and a number such as 5%/10`);
}
