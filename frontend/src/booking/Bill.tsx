import { VisuallyHidden } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { money, rate } from "../format";
import classes from "./Bill.module.css";
import { byRate, type Position, sum } from "./prices";

/** What is paid for what, and the tax in it. Of tickets that went back it says how many, as long as others are left. */
export function Bill({ bill, currency }: { bill: Position[]; currency: string }) {
  const { t } = useTranslation();
  const amount = (amount_minor: number) => money({ amount_minor, currency });
  const taxes = byRate(bill).filter(({ tax_minor }) => tax_minor);
  const someLeft = sum(bill, "returned") < sum(bill, "quantity");
  return (
    <table className={classes.bill}>
      <VisuallyHidden component="thead">
        <tr>
          <th scope="col">{t("bill.ticket")}</th>
          <th scope="col">{t("bill.amount")}</th>
        </tr>
      </VisuallyHidden>
      <tbody>
        {bill.map(({ name, quantity, returned, gross_minor, tax_rate_bp }) => (
          <tr key={`${name} ${gross_minor} ${tax_rate_bp}`}>
            <td>
              {t("bill.position", { quantity, name })}
              {returned > 0 && someLeft && (
                <div className={classes.returned}>{t("bill.returned", { count: returned })}</div>
              )}
            </td>
            <td>{amount(gross_minor)}</td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr className={classes.total}>
          <th scope="row">{t("bill.total")}</th>
          <td>{amount(sum(bill, "gross_minor"))}</td>
        </tr>
        {taxes.map(({ tax_rate_bp, tax_minor }) => (
          <tr key={tax_rate_bp} className={classes.tax}>
            <th scope="row">{t("bill.tax", { rate: rate(tax_rate_bp) })}</th>
            <td>{amount(tax_minor)}</td>
          </tr>
        ))}
      </tfoot>
    </table>
  );
}
