import type { ListParkedData } from "../../api/generated";
import { every } from "../layout/filters";

export type Service = ListParkedData["path"]["service"];

/** Each gives up messages of its own. */
export const SERVICES = every<Service>({ booking: 1, payment: 1, refund: 1, notification: 1 });
