import { join } from 'node:path';
import { Command } from 'commander';
import type { Controller } from '../../fleet/controller/controller.ts';
import type { MetricsServer } from '../../telemetry/metrics-server.ts';
import type { CliContext } from '../context.ts';
import { addBrokerOptions, readMqttSettings } from '../mqtt-options.ts';
import { wholeNumber } from '../parsers.ts';
import type { ControllerFlags, ControllerSettings } from './controller-settings.ts';
import { MAX_KEPT } from './kept.ts';

const EXAMPLES = `
It carries rollouts on, wave by wave. One per fleet leads; with --postgres,
others stand by and take over when it is gone. Keep its key apart from those of
the models: it has to be among the keys that may sign jobs (agent model sign
--operator). The passphrase comes from --passphrase-file or EDGEFIT_PASSPHRASE,
the database also from EDGEFIT_POSTGRES_URL. Logs go to stderr, one JSON object
per line.

Examples:
  agent fleet controller --mqtt mqtts://hub \\
    --repository https://models.example \\
    --root 1.root.json --key controller.key --state /var/lib/edgefit-controller
  agent fleet controller --config controller.yaml \\
    --postgres postgres://hub/edgefit

Exit codes: 0 stopped by a signal, 1 failed, 2 bad usage or input.`;

/** `agent fleet controller`: carries rollouts on until SIGTERM or SIGINT. */
export function fleetControllerCommand(context: CliContext): Command {
  const command = new Command('controller')
    .summary('carry rollouts on (a service; others can stand by)')
    .description('Carries rollouts on, until it is told to stop.')
    .option('--config <file>', 'all of this as YAML; options win')
    .option('--id <id>', 'name of this controller (default: from the host and the folder)')
    .option('--repository <url>', 'the signed repository of models')
    .option('--root <file>', 'its first root, 1.root.json, for the first start')
    .option('--key <file>', 'key file that jobs are signed with')
    .option('--passphrase-file <file>', 'file that holds the passphrase of the key')
    .option('--state <dir>', 'folder for what it must remember')
    .option('--postgres <url>', 'keep rollouts in this database, so that others can stand by')
    .option('--metrics <host:port>', 'serve GET /metrics for Prometheus here')
    .option(
      '--keep-rollouts <n>',
      'rollouts that have ended and are kept (default: 200)',
      wholeNumber({ min: 1, max: MAX_KEPT }),
    )
    .option(
      '--keep-days <n>',
      'and for how long (default: 90)',
      wholeNumber({ min: 1, max: MAX_KEPT }),
    );
  return addBrokerOptions(command, 'broker of the fleet')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: ControllerFlags) => {
      const { controllerSettings } = await import('./controller-settings.ts');
      await run(await controllerSettings(flags, context.io.env), context);
    });
}

async function run(settings: ControllerSettings, context: CliContext): Promise<void> {
  const { io, version, signal } = context;
  const mqtt = await readMqttSettings(settings, io.env);
  if (mqtt === null) return;
  const { openKeys } = await import('../model/passphrase.ts');
  const { openLog } = await import('../../daemon/log.ts');
  const { ControllerTrust } = await import('../../fleet/controller/trust.ts');
  const { RETENTION } = await import('../../fleet/controller/retention.ts');
  const { startController } = await import('../../fleet/controller/controller.ts');
  const { logger } = openLog('info');
  for (const warning of mqtt.warnings) logger.warn(warning);
  const { key, passphraseFile, id, state, repository, root } = settings;
  const [signer] = await openKeys({ key: [key], passphraseFile }, io);
  if (signer === undefined) return;
  const trust = await ControllerTrust.open({
    url: repository,
    folder: join(state, 'tuf'),
    rootFile: root,
    warn: (message) => logger.warn(message),
  });
  const { keys } = await trust.keyring();
  if (keys.size > 0 && !keys.has(signer.keyId)) {
    logger.warn({ keyId: signer.keyId }, `${key} may not sign documents: devices will refuse jobs`);
  }
  const store = await openStore(settings);
  logger.info({ version, id, keyId: signer.keyId }, 'started');
  const controller = startController({
    controllerId: id,
    agent: version,
    broker: mqtt.broker,
    timeoutMs: mqtt.timeoutMs,
    store,
    trust,
    signer,
    keep: {
      rollouts: settings.keepRollouts ?? RETENTION.rollouts,
      days: settings.keepDays ?? RETENTION.days,
    },
    log: logger,
  });
  const metrics = await serveFigures(settings.metrics, controller, version).catch(
    async (error: unknown) => {
      await controller.stop();
      throw error;
    },
  );
  await untilAborted(signal);
  await metrics?.close();
  await controller.stop();
  logger.info('stopped');
}

async function serveFigures(
  listen: string | undefined,
  controller: Controller,
  version: string,
): Promise<MetricsServer | null> {
  if (listen === undefined) return null;
  const { serveMetrics } = await import('../../telemetry/metrics-server.ts');
  const { buildInfo, fleetFamilies } = await import('../../telemetry/families.ts');
  const { figuresOf } = await import('../../fleet/controller/figures.ts');
  let figures = figuresOf(controller);
  return serveMetrics({
    listen,
    families: [buildInfo(version), ...fleetFamilies(() => figures)],
    refresh: async () => {
      figures = figuresOf(controller);
    },
  });
}

async function openStore({ state, postgres }: ControllerSettings) {
  if (postgres !== undefined) {
    const { openPostgresStore } = await import('../../fleet/controller/store/postgres.ts');
    return openPostgresStore(postgres);
  }
  const { openLevelStore } = await import('../../fleet/controller/store/level.ts');
  return openLevelStore(state);
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
