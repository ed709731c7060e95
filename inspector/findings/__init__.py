"""What is concluded from connections and endpoints: rules, the products that they know, and the judge who asks them."""
