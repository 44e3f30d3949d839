import { ID_RULE } from '../../contracts/ids.ts';
import { isId, TOPIC_ROOT } from '../protocol/topics.ts';
import { AccessError } from './error.ts';

/** Who is what at the broker. A device's user is its id; the others are named here. */
export interface Roles {
  readonly operators: readonly string[];
  readonly dashboards: readonly string[];
  readonly controllers: readonly string[];
}

const D = `${TOPIC_ROOT}/d`;

/**
 * Patterns hold for every user: `%u` is the name in the certificate, or of the password. A device
 * writes its own branch up and reads its own branch down; it hears its own status, to see a will that
 * came late, and the news of its groups; it answers in its own name.
 */
const DEVICE_PATTERNS = [
  `pattern write ${D}/%u/up/#`,
  `pattern read ${D}/%u/up/status`,
  `pattern read ${D}/%u/dn/#`,
  `pattern read ${TOPIC_ROOT}/g/+/dn/announce`,
  `pattern write ${TOPIC_ROOT}/c/+/rsp/%u/+`,
];

const READ_ALL = `topic read ${TOPIC_ROOT}/#`;

/** Lines of each role. Operators write `up` only to clear what a device has left behind. */
const ROLE_LINES: Readonly<Record<keyof Roles, readonly string[]>> = {
  operators: [
    READ_ALL,
    `topic write ${D}/+/dn/#`,
    `topic write ${D}/+/up/#`,
    `topic write ${TOPIC_ROOT}/r/+/cmd/+`,
    `topic write ${TOPIC_ROOT}/g/+/dn/announce`,
  ],
  dashboards: [READ_ALL],
  controllers: [
    READ_ALL,
    `topic write ${D}/+/dn/#`,
    `topic write ${TOPIC_ROOT}/c/+/status`,
    `topic write ${TOPIC_ROOT}/r/+/state`,
    `topic write ${TOPIC_ROOT}/r/+/rsp/+`,
    `topic write ${TOPIC_ROOT}/g/+/dn/announce`,
  ],
};

const BEGIN = '# Revoked devices: begin';
const END = '# Revoked devices: end';
const HEAD = `# Who may do what with ${TOPIC_ROOT}. Made by agent fleet acl.`;

/**
 * An ACL file for mosquitto. Throws AccessError on a name that cannot stand in one, or that has two
 * roles.
 */
export function aclFile(roles: Roles, revoked: readonly string[]): string {
  checkNames(roles);
  const sections = [
    [HEAD, '# A device is the user of the same name.', ...DEVICE_PATTERNS],
    ...(['operators', 'dashboards', 'controllers'] as const).flatMap((role) =>
      roles[role].map((user) => [
        `# ${role}`,
        `user ${user}`,
        ...noDevice(user),
        ...ROLE_LINES[role],
      ]),
    ),
  ];
  return withRevoked(`${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`, revoked);
}

/** The patterns hold for these users too: what they would get as a device of their name is denied. */
function noDevice(user: string): readonly string[] {
  return [`topic deny ${D}/${user}/#`, `topic deny ${TOPIC_ROOT}/c/+/rsp/${user}/+`];
}

function checkNames(roles: Roles): void {
  const { operators, dashboards, controllers } = roles;
  const names = [...operators, ...dashboards, ...controllers];
  for (const name of names) {
    // In an ACL file a line ends a name, and in a topic so do wildcards.
    if (!isId(name)) {
      throw new AccessError('BAD_NAME', `${JSON.stringify(name)} is no user name: use ${ID_RULE}`);
    }
  }
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice === undefined) return;
  throw new AccessError('BAD_NAME', `${twice} is named twice: one user has one role`);
}

/** The devices that an ACL file shuts out. Throws AccessError as `withRevoked`. */
export function revokedIn(acl: string): readonly string[] {
  const { block } = splitRevoked(acl);
  return [...block.matchAll(/^user (.+)$/gm)].map(([, user = '']) => user.trim());
}

/**
 * An ACL file in which exactly these devices are shut out: whatever else grants them something, a
 * denial counts first. The rest of the file stays as it is. Throws AccessError for a damaged file.
 */
export function withRevoked(acl: string, revoked: readonly string[]): string {
  const { rest } = splitRevoked(acl);
  const block = [...new Set(revoked)]
    .toSorted()
    .flatMap((device) => [`user ${device}`, 'topic deny #']);
  // Last in the file: a user line holds until the next one.
  return `${rest.trimEnd()}\n\n${[BEGIN, ...block, END].join('\n')}\n`;
}

function splitRevoked(acl: string): { readonly rest: string; readonly block: string } {
  const begin = acl.indexOf(BEGIN);
  const end = acl.indexOf(END);
  if ((begin === -1) !== (end === -1) || end < begin) {
    const fix = 'make it again with agent fleet acl';
    throw new AccessError(
      'DAMAGED',
      `only one of the lines around the revoked devices is left: ${fix}`,
    );
  }
  if (begin === -1) return { rest: acl, block: '' };
  return {
    rest: acl.slice(0, begin) + acl.slice(end + END.length),
    block: acl.slice(begin, end),
  };
}

/** A password file of mosquitto without this user; the same text when it is not in it. */
export function withoutPassword(text: string, user: string): string {
  const lines = text.split('\n');
  return lines.filter((line) => !line.startsWith(`${user}:`)).join('\n');
}
