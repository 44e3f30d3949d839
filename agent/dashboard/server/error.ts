import type { ApiErrorCode } from '../../contracts/dashboard.ts';
import { AgentError } from '../../util/errors.ts';

/** What a request comes to that is not done: a code of the API, and one line for people. */
export class ApiFailure extends AgentError {
  override readonly name = 'ApiFailure';
  override readonly code: ApiErrorCode;

  constructor(code: ApiErrorCode, message: string, cause?: unknown) {
    super(code, message, { cause, kind: 'failure' });
    this.code = code;
  }
}

export type DashboardErrorCode = 'BAD_USERS' | 'BAD_SETTING' | 'LISTEN' | 'NO_PAGE' | 'STORE';

/** The server cannot start, or its users cannot be changed. */
export class DashboardError extends AgentError {
  override readonly name = 'DashboardError';

  constructor(
    code: DashboardErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly kind?: 'input' | 'failure' } = {},
  ) {
    super(code, message, options);
  }
}

/** HTTP status of each code. */
export const STATUS: Readonly<Record<ApiErrorCode, number>> = {
  bad_request: 400,
  unauthorized: 401,
  forbidden: 403,
  csrf: 403,
  read_only: 403,
  not_found: 404,
  refused: 409,
  too_large: 413,
  rate_limited: 429,
  busy: 503,
  broker_lost: 503,
  no_controller: 503,
  timeout: 504,
  failed: 500,
};
