import { BlockList, isIP } from 'node:net';
import type { Role } from '../../../contracts/dashboard.ts';
import { DashboardError } from '../error.ts';
import { MAPPED } from './network.ts';
import { USER_NAME } from './users.ts';

/** Login by a reverse proxy that has checked who it is, and says so in a header. */
export interface ProxyLoginSettings {
  /** Such as X-Forwarded-User. */
  readonly header: string;
  /** Who may act; everybody else that the proxy lets through may look. */
  readonly operators: readonly string[];
}

export interface ProxySettings extends ProxyLoginSettings {
  /** Addresses or networks (CIDR) that the proxy connects from; from anyone else it is ignored. */
  readonly from: readonly string[];
}

const HEADER = /^[A-Za-z0-9-]{1,64}$/;

/** Addresses to a list that can be asked. Throws DashboardError BAD_SETTING. */
export function networkList(texts: readonly string[], setting: string): BlockList {
  const list = new BlockList();
  for (const text of texts) {
    const [address = '', bits, ...more] = text.split('/');
    const version = isIP(address);
    const most = version === 4 ? 32 : 128;
    const prefix = bits === undefined ? most : Number(bits);
    const isBad =
      version === 0 || more.length > 0 || !/^\d{1,3}$/.test(bits ?? '0') || prefix > most;
    if (isBad) {
      const why = `${setting}: ${JSON.stringify(text)} is no address or network`;
      throw new DashboardError('BAD_SETTING', `${why}: write 127.0.0.1/32 or fd00::/8`);
    }
    list.addSubnet(address, prefix, version === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

/** Whether the address of a socket is in the list. */
export function isListed(list: BlockList, address: string | undefined): boolean {
  const plain = MAPPED.exec(address ?? '')?.[1] ?? address ?? '';
  const version = isIP(plain);
  return version !== 0 && list.check(plain, version === 4 ? 'ipv4' : 'ipv6');
}

export interface ProxyLogin {
  /** Who it is, by the header of a request that came from `address` (of the socket); or null. */
  readonly identify: (
    headers: Readonly<Record<string, string | readonly string[] | undefined>>,
    address: string | undefined,
  ) => { readonly user: string; readonly role: Role } | null;
}

/** Throws DashboardError BAD_SETTING. */
export function proxyLogin({ header, from, operators }: ProxySettings): ProxyLogin {
  if (!HEADER.test(header)) {
    const why = `${JSON.stringify(header)} is no name of a header`;
    throw new DashboardError('BAD_SETTING', `--proxy-header: ${why}: write X-Forwarded-User`);
  }
  if (from.length === 0) {
    const why = '--proxy-header needs --proxy-from: the address of the proxy';
    throw new DashboardError('BAD_SETTING', `${why}; anybody else could name himself`);
  }
  const trusted = networkList(from, '--proxy-from');
  const name = header.toLowerCase();
  return {
    identify: (headers, address) => {
      const user = headers[name];
      if (typeof user !== 'string' || !USER_NAME.test(user)) return null;
      if (!isListed(trusted, address)) return null;
      return { user, role: operators.includes(user) ? 'operator' : 'viewer' };
    },
  };
}
