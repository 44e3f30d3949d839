export interface BrokerConfigOptions {
  /** How clients say who they are. */
  readonly identity: 'certificate' | 'password';
  /** Where the files are, on the machine of the broker. */
  readonly folder: string;
  readonly port: number;
  /** Whether a list of withdrawn certificates is there: the broker does not start without its file. */
  readonly crl?: boolean;
  /** Where the broker keeps what is retained; Debian's place by default. */
  readonly data?: string;
}

const DATA = '/var/lib/mosquitto';

/**
 * A mosquitto.conf that goes with the ACL: TLS, nobody without a name, and limits that suit a fleet.
 * The names of the files are what the operator's guide calls them.
 */
export function brokerConfig({
  identity,
  folder,
  port,
  crl = false,
  data = DATA,
}: BrokerConfigOptions): string {
  const who =
    identity === 'certificate'
      ? [
          '# The common name of the certificate is the user of the ACL.',
          'require_certificate true',
          'use_identity_as_username true',
          '# What the CA has withdrawn (agent fleet revoke --crl makes it); mosquitto does not start',
          '# without the file. --crl prints the line.',
          `${crl ? '' : '#'}crlfile ${folder}/crl.pem`,
        ]
      : [
          '# Made with mosquitto_passwd; the user of a device is its id.',
          `password_file ${folder}/passwords`,
        ];
  return [
    '# mosquitto for edgefit. Made by agent fleet acl --config.',
    `listener ${port}`,
    `cafile ${folder}/ca.pem`,
    `certfile ${folder}/broker.pem`,
    `keyfile ${folder}/broker.key`,
    ...who,
    'allow_anonymous false',
    `acl_file ${folder}/acl`,
    '',
    '# What is retained, and what waits for devices that are away, outlives a restart.',
    'persistence true',
    // The broker puts the name of its file right behind it.
    `persistence_location ${data.replace(/\/*$/, '/')}`,
    'persistent_client_expiration 14d',
    '# Larger than any message of edgefit; under MQTT 3.1.1 clients cannot ask for it.',
    'message_size_limit 1048576',
    '',
  ].join('\n');
}
