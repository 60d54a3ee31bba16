import { Skeleton } from "@mantine/core";
import { useTranslation } from "react-i18next";
import classes from "./PaymentForm.module.css";

/** As high as the payment form that comes. */
export function FormWaiting() {
  const { t } = useTranslation();
  return (
    <div role="status" aria-label={t("pay.formLoading")} aria-busy>
      <Skeleton className={classes.element} />
      <Skeleton h={50} mt="md" />
    </div>
  );
}
