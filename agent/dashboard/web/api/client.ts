import type { BenchReport } from '../../../contracts/bench.ts';
import type {
  ApiErrorCode,
  Compare,
  Device,
  DeviceAction,
  Fleet,
  History,
  BenchLine,
  Models,
  RolloutAction,
  SessionInfo,
} from '../../../contracts/dashboard.ts';
import type { Rollout, RolloutSpecInput } from '../../../contracts/rollout.ts';
import { AgentError } from '../../../util/errors.ts';
import { setServerClock } from '../state/clock.ts';
import { session } from '../state/session.ts';

/** The server did not do what it was asked, or could not be reached (`unreachable`). */
export class ApiFailure extends AgentError {
  override readonly name = 'ApiFailure';
  declare readonly code: ApiErrorCode | 'unreachable';

  constructor(code: ApiErrorCode | 'unreachable', text: string, cause?: unknown) {
    super(code, text, { cause, kind: 'failure' });
  }
}

interface ErrorBody {
  readonly error?: { readonly code?: ApiErrorCode; readonly text?: string };
}

async function failureOf(response: Response): Promise<ApiFailure> {
  // A proxy in between may answer with a page of its own.
  const body = await response.json().then(
    (value: ErrorBody | null) => value,
    () => null,
  );
  const text = body?.error?.text ?? `the server answered ${response.status}`;
  return new ApiFailure(body?.error?.code ?? 'failed', text);
}

/** Addresses are relative: the page may stand below a path of a reverse proxy. */
async function request<T>(path: string, init: RequestInit = {}): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`api/${path}`, { credentials: 'same-origin', ...init });
  } catch (error) {
    if (init.signal?.aborted === true) throw error;
    throw new ApiFailure('unreachable', 'the server cannot be reached; try again shortly', error);
  }
  if (!response.ok) {
    const failure = await failureOf(response);
    if (failure.code === 'unauthorized') session.set(null);
    throw failure;
  }
  // The server checks what it sends against the same contract; both come out of one package.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return (response.status === 204 ? undefined : await response.json()) as T;
}

async function post<T>(path: string, body: unknown = {}): Promise<T> {
  const csrf = session.get()?.csrf;
  return request<T>(path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(csrf === undefined ? {} : { 'x-csrf-token': csrf }),
    },
    body: JSON.stringify(body),
  });
}

const part = encodeURIComponent;

function took(info: SessionInfo): SessionInfo {
  setServerClock(info.now);
  session.set(info);
  return info;
}

/** Asks who is logged in; `session` then holds it, or null for nobody. */
export async function loadSession(): Promise<void> {
  try {
    took(await request<SessionInfo>('session'));
  } catch (error) {
    if (error instanceof ApiFailure && error.code === 'unauthorized') return;
    throw error;
  }
}

export async function logIn(user: string, password: string): Promise<void> {
  took(await post<SessionInfo>('login', { user, password }));
}

export async function logOut(): Promise<void> {
  await post<unknown>('logout');
  session.set(null);
}

export const getFleet = (signal?: AbortSignal) => request<Fleet>('fleet', withSignal(signal));

export const getDevice = (deviceId: string, signal: AbortSignal) =>
  request<Device>(`devices/${part(deviceId)}`, { signal });

export interface HistoryQuery {
  readonly metrics: readonly string[];
  readonly from: number;
  readonly to: number;
  readonly points: number;
}

export function getHistory(
  deviceId: string,
  { metrics, from, to, points }: HistoryQuery,
  signal: AbortSignal,
): Promise<History> {
  const query = new URLSearchParams({
    metrics: metrics.join(','),
    from: String(Math.round(from)),
    to: String(Math.round(to)),
    points: String(points),
  });
  return request<History>(`devices/${part(deviceId)}/history?${query.toString()}`, { signal });
}

export const actOnDevice = (deviceId: string, action: DeviceAction, model?: string) =>
  post<{ readonly jobId: string }>(`devices/${part(deviceId)}/actions`, {
    action,
    ...(model === undefined ? {} : { model }),
  });

export const getRollouts = (signal: AbortSignal) =>
  request<{ readonly rollouts: readonly Rollout[] }>('rollouts', { signal });

interface RolloutAnswer {
  readonly rollout: Rollout;
}

export const getRollout = (rolloutId: string, signal: AbortSignal) =>
  request<RolloutAnswer>(`rollouts/${part(rolloutId)}`, { signal });

export const planRollout = (spec: RolloutSpecInput) =>
  post<RolloutAnswer>('rollouts/plan', { spec });

export const createRollout = (spec: RolloutSpecInput, approve: boolean) =>
  post<RolloutAnswer>('rollouts', { spec, approve });

export const actOnRollout = (rolloutId: string, action: RolloutAction, reason?: string) =>
  post<RolloutAnswer>(
    `rollouts/${part(rolloutId)}/${action}`,
    reason === undefined ? {} : { reason },
  );

export const getModels = (signal: AbortSignal) => request<Models>('models', { signal });

/** A part of the list of all reports; `next` says where it goes on. */
export interface BenchPage {
  readonly benches: readonly BenchLine[];
  readonly next: string | null;
}

export const getBenches = (before: string | null, signal?: AbortSignal) =>
  request<BenchPage>(
    before === null ? 'benches' : `benches?before=${part(before)}`,
    withSignal(signal),
  );

export const getBench = (deviceId: string, benchId: string, signal: AbortSignal) =>
  request<BenchReport>(`benches/${part(deviceId)}/${part(benchId)}`, { signal });

/** @param left, right `DEVICE/BENCH` */
export const comparePath = (left: string, right: string, format: 'json' | 'csv') =>
  `compare?${new URLSearchParams({ left, right, format }).toString()}`;

export const compare = (left: string, right: string, signal: AbortSignal) =>
  request<Compare>(comparePath(left, right, 'json'), { signal });

function withSignal(signal: AbortSignal | undefined): RequestInit {
  return signal === undefined ? {} : { signal };
}
