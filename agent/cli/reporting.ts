import type { Reporting } from './context.ts';
import { addMqttOptions, readMqttSettings } from './mqtt-options.ts';
import type { Io } from './output.ts';

/**
 * Reporting over MQTT for commands that measure. Settings are checked, and this device is named,
 * before the long work; the client library is loaded only when there is something to send.
 */
export function mqttReporting(
  io: Io,
  version: string,
  nameDevice: () => Promise<string> = ownDeviceId,
): Reporting {
  return {
    addOptions: (command) => addMqttOptions(command),
    prepare: async (options, env) => {
      const settings = await readMqttSettings(options, env);
      if (settings === null) return null;
      for (const warning of settings.warnings) io.stderr.write(`agent: ${warning}\n`);
      const deviceId = settings.deviceId ?? (await nameDevice());
      return async (report, signal) => {
        const { publishOrKeep } = await import('../fleet/report.ts');
        const { stateFolder } = await import('../fleet/unsent.ts');
        const facts = report.device;
        const sent = await publishOrKeep(
          { ...settings, deviceId, facts, report, agent: version, signal },
          stateFolder(env),
        );
        for (const warning of sent.warnings) io.stderr.write(`agent: ${warning}\n`);
        const weaker =
          sent.protocol === 4 ? ' (MQTT 3.1.1: the broker cannot say no to a topic)' : '';
        io.stderr.write(`reported as ${deviceId}: ${sent.topics.join(', ')}${weaker}\n`);
      };
    },
  };
}

async function ownDeviceId(): Promise<string> {
  const { defaultDeviceId } = await import('../hardware/device-id.ts');
  return defaultDeviceId();
}
