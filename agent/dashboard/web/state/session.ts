import type { SessionInfo } from '../../../contracts/dashboard.ts';
import { createStore } from './store.ts';

/** Who is logged in: undefined is not known yet, null is nobody. */
export const session = createStore<SessionInfo | null | undefined>(undefined);

/** Why the reader of this page may not act, for the title of a button; null: he may. */
export function whyNot(info: SessionInfo | null | undefined): string | null {
  if (info === null || info === undefined) return 'Log in first';
  if (info.readOnly !== null) return `Nobody can act here: ${info.readOnly}`;
  if (info.role !== 'operator') return `${info.user} may look, not act: this needs an operator`;
  return null;
}
