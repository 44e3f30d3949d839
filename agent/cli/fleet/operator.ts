import { InvalidArgumentError, type Command } from 'commander';
import type { ClosableChannel } from '../../fleet/operator/channel.ts';
import type { Signer } from '../../fleet/protocol/signed.ts';
import type { BrokerSettings } from '../../fleet/broker-link.ts';
import type { CliContext } from '../context.ts';
import { UsageError } from '../errors.ts';
import { addOne } from '../model/shared.ts';
import { addBrokerOptions, type MqttOptions } from '../mqtt-options.ts';
import type { Io } from '../output.ts';

/** What commander makes of the options of every operator's command. */
export type BrokerFlags = Omit<MqttOptions, 'deviceId'>;

export interface KeyFlags {
  readonly key?: readonly string[];
  readonly passphraseFile?: string;
}

/** Where an option comes from that was not given: an operator types the same ones all day. */
const VARIABLES = {
  mqtt: 'EDGEFIT_MQTT_URL',
  mqttUser: 'EDGEFIT_MQTT_USER',
  mqttPasswordFile: 'EDGEFIT_MQTT_PASSWORD_FILE',
  mqttCa: 'EDGEFIT_MQTT_CA_FILE',
  mqttCert: 'EDGEFIT_MQTT_CERT_FILE',
  mqttKey: 'EDGEFIT_MQTT_KEY_FILE',
} as const satisfies Partial<Record<keyof BrokerFlags, string>>;

const KEY_VARIABLE = 'EDGEFIT_KEY_FILE';

export const OPERATOR_HELP = `
The broker may also be named by EDGEFIT_MQTT_URL, _USER, _PASSWORD_FILE,
_CA_FILE, _CERT_FILE and _KEY_FILE, the key that signs by EDGEFIT_KEY_FILE.`;

/** The broker of the fleet. */
export function operatorOptions(command: Command): Command {
  return addBrokerOptions(command, 'the broker of the fleet');
}

/** The key that signs what devices and controllers are told. */
export function operatorKeyOptions(command: Command): Command {
  return command
    .option('--key <file>', 'key file to sign with; several times for several keys', addOne)
    .option('--passphrase-file <file>', 'file that holds the passphrase of the keys');
}

function given(env: Io['env'], name: string): string | undefined {
  const value = env[name];
  return value === '' ? undefined : value;
}

/** The options, and for those that were not given the environment. */
export function withEnvironment(flags: BrokerFlags, env: Io['env']): BrokerFlags {
  const fromEnv = Object.entries(VARIABLES).map(([key, name]) => [key, given(env, name)]);
  const found = fromEnv.filter(([, value]) => value !== undefined);
  const own = Object.entries(flags).filter(([, value]) => value !== undefined);
  return Object.fromEntries([...found, ...own]);
}

export interface Operator {
  readonly channel: ClosableChannel;
  readonly broker: BrokerSettings;
  readonly timeoutMs: number;
}

/** Where the broker is and who asks. Throws UsageError and SettingError. */
export async function brokerOf(
  flags: BrokerFlags,
  io: Io,
): Promise<{ readonly broker: BrokerSettings; readonly timeoutMs: number }> {
  const { readMqttSettings } = await import('../mqtt-options.ts');
  const settings = await readMqttSettings(withEnvironment(flags, io.env), io.env);
  if (settings === null) {
    throw new UsageError(`which broker? give --mqtt URL or set ${VARIABLES.mqtt}`);
  }
  for (const warning of settings.warnings) io.stderr.write(`agent: ${warning}\n`);
  return { broker: settings.broker, timeoutMs: settings.timeoutMs };
}

/** Runs `work` with a connection, which is closed whatever happens. */
export async function withOperator<T>(
  flags: BrokerFlags,
  { io, signal }: CliContext,
  work: (operator: Operator) => Promise<T>,
): Promise<T> {
  const { broker, timeoutMs } = await brokerOf(flags, io);
  const { openChannel } = await import('../../fleet/operator/channel.ts');
  const channel = await openChannel({ broker, timeoutMs, signal });
  try {
    return await work({ channel, broker, timeoutMs });
  } finally {
    await channel.close();
  }
}

/** The keys to sign with. Throws UsageError when none is named. */
export async function openSigners(flags: KeyFlags, io: Io): Promise<readonly Signer[]> {
  const fromEnv = given(io.env, KEY_VARIABLE);
  const key = flags.key ?? (fromEnv === undefined ? [] : [fromEnv]);
  if (key.length === 0) {
    throw new UsageError(`which key signs it? give --key FILE or set ${KEY_VARIABLE}`);
  }
  const { openKeys } = await import('../model/passphrase.ts');
  return openKeys({ key, passphraseFile: flags.passphraseFile }, io);
}

const MAX_ACTOR = 200;

/** Who asks, for the record: the login name. */
export function actorOf({ env }: Io): string | undefined {
  return (given(env, 'USER') ?? given(env, 'LOGNAME'))?.slice(0, MAX_ACTOR);
}

const MAX_REASON = 500;

/** Why, for the record; as long as the contracts allow. */
export function reasonOption(command: Command): Command {
  return command.option('--reason <text>', 'for the record', (text: string) => {
    if (text.length <= MAX_REASON) return text;
    throw new InvalidArgumentError(`It has ${text.length} characters, at most ${MAX_REASON}.`);
  });
}
