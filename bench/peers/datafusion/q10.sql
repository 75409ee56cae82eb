SELECT auction, bidder, price, "dateTime", extra,
       to_char("dateTime", '%Y-%m-%d') AS day, to_char("dateTime", '%H:%M') AS minute
FROM bid
