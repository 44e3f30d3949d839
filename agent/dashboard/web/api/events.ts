import type { DashboardEventName, DashboardEvents } from '../../../contracts/dashboard.ts';
import { session } from '../state/session.ts';
import { createStore } from '../state/store.ts';
import { broker, complete, controllers, takeChanges, takeFleet } from '../state/fleet.ts';
import { getFleet, loadSession } from './client.ts';

/** Whether the server is there: `lost` is shown to the reader. */
export const link = createStore<'opening' | 'open' | 'lost'>('opening');

/** How often the stream has come back: what a page has loaded is then loaded again. */
export const recoveries = createStore(0);

type Listener<Name extends DashboardEventName> = (data: DashboardEvents[Name]) => void;

/** Calls `listener` with each event of a name. */
function on<Name extends DashboardEventName>(
  source: EventSource,
  name: Name,
  listener: Listener<Name>,
): void {
  source.addEventListener(name, (event: MessageEvent<string>) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as in client.ts
    listener(JSON.parse(event.data) as DashboardEvents[Name]);
  });
}

export type DeviceListeners = {
  readonly [Name in 'telemetry' | 'job' | 'bench']: Listener<Name>;
};

const rolloutListeners = new Set<Listener<'rollout'>>();
const goneListeners = new Set<Listener<'rolloutGone'>>();

/** Calls `listener` with every rollout that changes, `onGone` with those that are kept no more. */
export function onRollout(
  listener: Listener<'rollout'>,
  onGone: Listener<'rolloutGone'>,
): () => void {
  rolloutListeners.add(listener);
  goneListeners.add(onGone);
  return () => {
    rolloutListeners.delete(listener);
    goneListeners.delete(onGone);
  };
}

/** A browser retries by itself, but gives up for good on an answer that is not an event stream. */
const RETRY_MS = 3000;

/**
 * A browser has six connections to a server (HTTP/1.1) for all its tabs, and the page of a device takes
 * two: with a fourth nothing would go on in any of them. What is out of sight for so long gives them back.
 */
const REST_MS = 10_000;

const ignore = () => undefined;

interface Stream {
  readonly close: () => void;
}

/** `opened` is given what is aborted as soon as that stream is lost or closed. */
function keepOpen(
  path: string,
  listen: (source: EventSource) => void,
  opened: (signal: AbortSignal) => void = ignore,
  lost: () => void = ignore,
): Stream {
  let source: EventSource | null = null;
  let current = new AbortController();
  let retry: ReturnType<typeof setTimeout> | undefined;
  let rest: ReturnType<typeof setTimeout> | undefined;
  const open = () => {
    const opening = new EventSource(path);
    source = opening;
    opening.addEventListener('open', () => {
      current = new AbortController();
      opened(current.signal);
    });
    opening.addEventListener('error', () => {
      current.abort();
      lost();
      if (opening.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY_MS);
    });
    listen(opening);
  };
  const pause = () => {
    clearTimeout(retry);
    current.abort();
    source?.close();
    source = null;
  };
  const onSight = () => {
    clearTimeout(rest);
    if (document.hidden) rest = setTimeout(pause, REST_MS);
    else if (source === null) open();
  };
  open();
  onSight();
  document.addEventListener('visibilitychange', onSight);
  return {
    close: () => {
      document.removeEventListener('visibilitychange', onSight);
      clearTimeout(rest);
      pause();
    },
  };
}

function listenToFleet(source: EventSource): void {
  on(source, 'devices', ({ changed, gone }) => takeChanges(changed, gone));
  on(source, 'broker', (state) => broker.set(state));
  on(source, 'controllers', (data) => controllers.set(data.controllers));
  on(source, 'complete', (data) => complete.set(data.complete));
  on(source, 'rollout', (data) => {
    for (const listener of rolloutListeners) listener(data);
  });
  on(source, 'rolloutGone', (data) => {
    for (const listener of goneListeners) listener(data);
  });
}

/**
 * The stream first, then the whole: nothing falls between the two. Whoever asks too often, or asks a
 * busy server, is told to come again. Without the stream an answer would be old at once.
 */
function readFleet(signal: AbortSignal): void {
  if (signal.aborted) return;
  getFleet(signal).then(
    (fleet) => {
      if (signal.aborted) return;
      takeFleet(fleet);
      if (link.get() !== 'opening') recoveries.set(recoveries.get() + 1);
      link.set('open');
    },
    () => {
      if (signal.aborted) return;
      link.set('lost');
      if (session.get() !== null) setTimeout(() => readFleet(signal), RETRY_MS);
    },
  );
}

/** Of a session that has ended, a stream tells no more than that it fails. */
function loseLink(): void {
  link.set('lost');
  loadSession().catch(() => undefined);
}

/** Follows the fleet until it is closed. What was missed in a gap is read anew. */
export function followFleet(): Stream {
  return keepOpen('api/events', listenToFleet, readFleet, loseLink);
}

/** Follows what only one device says. */
export function followDevice(deviceId: string, listeners: DeviceListeners): Stream {
  const listen = (source: EventSource) => {
    on(source, 'telemetry', listeners.telemetry);
    on(source, 'job', listeners.job);
    on(source, 'bench', listeners.bench);
  };
  const path = `api/events?device=${encodeURIComponent(deviceId)}`;
  return keepOpen(path, listen);
}
