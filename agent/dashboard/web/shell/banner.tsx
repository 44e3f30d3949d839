import { link } from '../api/events.ts';
import { broker, complete, controllers, loaded } from '../state/fleet.ts';
import { useStore } from '../state/store.ts';
import { toMs } from '../ui/format.ts';
import { Ago } from '../ui/ago.tsx';

/** Says when what is shown is not what is: the server or the broker is away. */
export function Banner() {
  const state = useStore(link);
  const mqtt = useStore(broker);
  const all = useStore(complete);
  const known = useStore(loaded);
  const lost = mqtt !== null && !mqtt.connected;
  return (
    <div class="banners" role="status" aria-live="polite">
      {state === 'lost' && (
        <p class="banner bad">
          <strong>The server cannot be reached.</strong> What is shown is as of the last contact;
          this page keeps trying.
        </p>
      )}
      {state !== 'lost' && lost && (
        <p class="banner bad">
          <strong>The broker is not connected</strong> ({mqtt.reason ?? 'no reason given'}) at{' '}
          <span class="mono">{mqtt.url}</span>, lost <Ago ms={toMs(mqtt.since)} />. Devices are
          shown as they were; nothing can be sent.
        </p>
      )}
      {state === 'open' && !lost && known && !all && (
        <p class="banner">Reading what the broker keeps: the table is still filling.</p>
      )}
    </div>
  );
}

/** Whether a controller leads: without one, rollouts do not move. */
export function useLeader(): string | null {
  const list = useStore(controllers);
  return list.find((controller) => controller.state === 'leading')?.controllerId ?? null;
}
