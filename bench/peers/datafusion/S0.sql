SELECT order_id, customer_id, order_date, total_amount FROM "S0" WHERE total_amount > 100
