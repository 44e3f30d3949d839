import { AgentError } from '../../util/errors.ts';

/**
 * Why metadata or a file is not trusted, by the attack it would be (TUF specification 1.5.2), so that
 * a report says what happened and not only that something failed.
 */
export type RefusalCode =
  /** Not signed by enough trusted keys: arbitrary software. */
  | 'bad_signature'
  /** Lower version than one that was seen. */
  | 'rollback'
  /** Expired: an attacker, or nobody, keeps serving what is old. */
  | 'expired'
  /** Parts of different states of the repository. */
  | 'mix_and_match'
  /** More bytes than announced or allowed. */
  | 'endless_data'
  /** Fewer bytes per second than a working line gives. */
  | 'slow_retrieval'
  /** Not the bytes that were announced. */
  | 'wrong_content'
  /** Not metadata at all. */
  | 'malformed'
  /** The repository does not have it. */
  | 'missing'
  /** It cannot be reached; trying again later makes sense. */
  | 'unreachable'
  /** There is no first root: this device was not enrolled. */
  | 'not_enrolled';

/** Metadata or a file that is not trusted; nothing of it was used. */
export class NotTrusted extends AgentError {
  override readonly name = 'NotTrusted';

  constructor(code: RefusalCode, message: string, options?: { readonly cause?: unknown }) {
    super(code, message, { ...options, kind: 'failure' });
  }
}
