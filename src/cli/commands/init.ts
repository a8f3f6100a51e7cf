import { string } from "@oclif/core/flags";
import { parseGatewayName, parseRealm } from "../../base/names.ts";
import { fingerprintOf } from "../../protocol/keys.ts";
import { BaseCommand } from "../base-command.ts";
import { makeGateway } from "../new-gateway.ts";

export default class Init extends BaseCommand {
  static override readonly summary =
    "Make a home: keys, a configuration, and a trust document that knows nobody.";
  static override readonly description =
    "Overwrites nothing. A store in a folder is made where there is none; a bucket has to be there. Credentials of a bucket come by the AWS chain, never in the URL.";
  static override readonly examples = [
    "<%= config.bin %> init --gateway support --store file:///mnt/shared/postern",
    "<%= config.bin %> init --gateway eu-lab --store 's3://bucket/prefix?endpoint=http://127.0.0.1:9000' --home ./eu-lab",
  ];
  static override readonly flags = {
    gateway: string({
      summary: "This gateway's name: lower-case DNS labels joined by dots.",
      helpValue: "NAME",
      required: true,
    }),
    store: string({
      summary: "Where gateways meet: file:///folder or s3://bucket/prefix.",
      helpValue: "URL",
      required: true,
    }),
    realm: string({
      summary: "The deployment; gateways of different realms never believe each other.",
      helpValue: "R",
      default: "default",
    }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Init);
    const { home, json } = this.globalOptions(flags);
    const { paths, config, signingKey } = await makeGateway({
      home,
      gateway: parseGatewayName(flags.gateway),
      realm: parseRealm(flags.realm),
      storeUrl: flags.store,
    });
    const { gateway, realm, store } = config;
    const fingerprint = fingerprintOf(signingKey.publicKey);
    if (json) return this.printJson({ home: paths.home, gateway, realm, store, fingerprint });
    this.print(`${gateway} in realm ${realm} lives in ${paths.home}\nfingerprint ${fingerprint}`);
    this.print(
      "next: give `postern card export` to a peer, and add the peer's card with `postern peers add`",
    );
  }
}
