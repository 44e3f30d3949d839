import type { Check, Finding } from '../util/check.ts';
import type { CliContext } from './context.ts';
import { queueCheck } from './queue-check.ts';
import { readMqttSettings, type MqttOptions, type MqttSettings } from './mqtt-options.ts';

export interface DoctorFlags extends MqttOptions {
  readonly json?: true;
  readonly root?: string;
}

/** As in package.json: what the program is tested with. */
const LEAST_NODE = [20, 19] as const;

/**
 * All checks that the flags ask for. A recording is asked only what its files answer: libraries and
 * network are those of the machine that reads it. Throws on options that cannot be used.
 */
export async function checksFor(
  flags: DoctorFlags,
  { io }: Pick<CliContext, 'io'>,
): Promise<readonly Check[]> {
  // Loaded here: `--help` does without.
  const { probeMachine } = await import('../hardware/probe.ts');
  const { machineChecks } = await import('../hardware/checks.ts');
  const { openTree } = await import('../hardware/tree.ts');
  const { stateFolder } = await import('../fleet/unsent.ts');
  const settings = await readMqttSettings(flags, io.env);
  const { facts, profile } = await probeMachine({ root: flags.root });
  const tree = await openTree(flags.root);
  const machine = machineChecks({ facts, profile, tree, folder: stateFolder(io.env) });
  if (flags.root !== undefined) return machine;
  const { runtimeChecks } = await import('../runtime/checks.ts');
  const { trtexecChecks } = await import('../runtime/tensorrt/check.ts');
  const libraries = [...runtimeChecks, ...trtexecChecks(facts, io.env)];
  const broker = settings === null ? [] : [brokerCheck(settings), queueCheck(settings)];
  const { metadataChecks } = await import('./metadata-check.ts');
  const metadata = await metadataChecks(stateFolder(io.env));
  return [nodeCheck(process.versions.node), ...libraries, ...machine, ...broker, ...metadata];
}

/** Whether the Node.js that runs us is one that the program is made for. */
export function nodeCheck(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const ok = major > LEAST_NODE[0] || (major === LEAST_NODE[0] && minor >= LEAST_NODE[1]);
  const mend = `install Node.js ${LEAST_NODE.join('.')} or newer`;
  const found = `version ${version}`;
  const finding: Finding = ok
    ? { ok, found, facts: { version } }
    : { ok, found, mend, facts: { version } };
  return { id: 'node', title: 'Node.js', severity: 'essential', run: async () => finding };
}

/** A real connection to the broker, with the credentials given; nothing is published. */
function brokerCheck({ broker, timeoutMs, deviceId }: MqttSettings): Check {
  const { display } = broker.address;
  return {
    id: 'broker',
    title: 'MQTT broker',
    severity: 'essential',
    run: async (signal) => {
      const { connectBroker } = await import('../fleet/broker-connection.ts');
      const { ReportError } = await import('../fleet/report-error.ts');
      // A name of its own: a broker hangs up on a client whose name comes a second time.
      const clientId = `${deviceId ?? 'edgefit'}-doctor-${process.pid}`;
      try {
        const connection = await connectBroker(broker, { clientId, timeoutMs, signal });
        await connection.close();
        const protocol = connection.protocol === 5 ? 'MQTT 5' : 'MQTT 3.1.1';
        return { ok: true, found: `${display} answers (${protocol})`, facts: { protocol } };
      } catch (error) {
        if (!(error instanceof ReportError)) throw error;
        return {
          ok: false,
          found: error.message,
          mend: `see that ${display} is the right address`,
        };
      }
    },
  };
}
